"""The events of retries, circuit breakers, budgets and quarantine. ``types`` has all events."""

from typing import Annotated, Literal

from msgspec import Meta

from graphwire.events.event_data import Attempt, EventData


class CircuitBreakerStateChanged(EventData, frozen=True):
    """A circuit breaker opened, closed, or lets a test through."""

    type = "circuit_breaker_state_changed"
    code = 11

    breaker: Annotated[str, Meta(description="The breaker's name.")]
    old_state: Annotated[Literal["closed", "open", "half_open"], Meta(description="What it was.")]
    new_state: Annotated[Literal["closed", "open", "half_open"], Meta(description="What it is.")]
    failure_count: Annotated[int, Meta(description="Failures in its window.")]


class CircuitBreakerOperationAttempted(EventData, frozen=True):
    """A half-open circuit breaker lets an attempt through, as a test."""

    type = "circuit_breaker_operation_attempted"
    code = 12

    breaker: Annotated[str, Meta(description="The breaker's name.")]
    circuit_state: Annotated[Literal["closed", "open", "half_open"], Meta(description="What it is.")]
    attempt: Attempt


class CircuitBreakerOperationBlocked(EventData, frozen=True):
    """A circuit breaker let nothing through: the attempt failed without running."""

    type = "circuit_breaker_operation_blocked"
    code = 13

    breaker: Annotated[str, Meta(description="The breaker's name.")]
    reason: Annotated[str, Meta(description="Why, in words.")]
    circuit_state: Annotated[Literal["closed", "open", "half_open"], Meta(description="What it is.")]
    failure_count: Annotated[int, Meta(description="Failures in its window.")]


class ResourceBudgetExhausted(EventData, frozen=True):
    """A budget of the execution or the node has not enough left."""

    type = "resource_budget_exhausted"
    code = 14

    resource_type: Annotated[str, Meta(description="What ran out.")]
    requested: Annotated[float, Meta(description="What was asked for.")]
    available: Annotated[float, Meta(description="What was left.")]


class RetryScheduled(EventData, frozen=True):
    """Another attempt of the activation follows after a delay."""

    type = "retry_scheduled"
    code = 15

    attempt: Annotated[int, Meta(description="The number of the attempt that follows.")]
    delay_ms: Annotated[float, Meta(description="The wait before it, in milliseconds.")]
    max_attempts: Annotated[int, Meta(description="How many the policy allows.")]


class RetryAttempted(EventData, frozen=True):
    """The attempt that was scheduled begins."""

    type = "retry_attempted"
    code = 18

    attempt: Attempt
    delay_ms: Annotated[float, Meta(description="The wait that was scheduled, in milliseconds.")]


class NodeQuarantined(EventData, frozen=True):
    """The node kept failing: for a time its activations are skipped."""

    type = "node_quarantined"
    code = 41

    failures: Annotated[int, Meta(description="How many failures in a row.")]
    duration_s: Annotated[float, Meta(description="For how long, in seconds.")]


class NodeQuarantineCleared(EventData, frozen=True):
    """The node is run again."""

    type = "node_quarantine_cleared"
    code = 42

    reason: Annotated[Literal["expired", "succeeded"], Meta(description="Why.")]
