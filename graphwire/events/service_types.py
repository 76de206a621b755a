"""The events of the service as a whole: one frozen class per topic, holding the event's ``data``.

They are few and small: what happened to an execution or a graph in full is read from there.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, TypeAlias, get_args

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from graphwire.events.types import DurationMs, Failure, Steps
from graphwire.types import Outcome, Priority

MAX_TEXT = 1_000
"""Characters of a text in these events."""

Version: TypeAlias = Annotated[int, Meta(description="The version of the graph.")]
Source: TypeAlias = Annotated[
    Literal["api", "folder"], Meta(description="Whether it came over HTTP or from one of the service's folders.")
]
LastSeq: TypeAlias = Annotated[int, Meta(description="The number of the execution's last event.")]


class ServiceEventData(Struct, frozen=True, kw_only=True, gc=False):
    """What all events of the service share.

    Attributes:
        topic: What they are filtered by; also their type on the wire.
        code: Its stable number.
    """

    topic: ClassVar[str]
    code: ClassVar[int]


class GraphCreated(ServiceEventData, frozen=True):
    """A graph was stored that was not there before, or was deleted."""

    topic = "graph.created"
    code = 60

    version: Version
    source: Source


class GraphUpdated(ServiceEventData, frozen=True):
    """A graph got a new version."""

    topic = "graph.updated"
    code = 61

    version: Version
    source: Source


class GraphDeleted(ServiceEventData, frozen=True):
    """A graph was deleted. Its executions stay."""

    topic = "graph.deleted"
    code = 62

    version: Annotated[int, Meta(description="Its last version.")]


class ServiceExecutionStarted(ServiceEventData, frozen=True):
    """An execution begins."""

    topic = "execution.started"
    code = 63

    graph_version: Annotated[int, Meta(description="The version of the graph; 0 where it is not stored here.")]


class ServiceExecutionQueued(ServiceEventData, frozen=True):
    """An execution was accepted and waits for its turn; `execution.started` follows when it begins."""

    topic = "execution.queued"
    code = 72

    graph_version: Version


class ServiceExecutionCompleted(ServiceEventData, frozen=True):
    """An execution completed. Its state is at its address."""

    topic = "execution.completed"
    code = 64

    outcome: Annotated[Outcome | None, Meta(description="`partial` where it went on past unhandled errors.")]
    duration_ms: DurationMs
    steps: Steps
    last_seq: LastSeq


class ServiceExecutionFailed(ServiceEventData, frozen=True):
    """An execution ended with an error, or was found interrupted at a start."""

    topic = "execution.failed"
    code = 65

    error: Annotated[Failure, Meta(description="What ended it; a long message is cut.")]
    duration_ms: DurationMs
    steps: Steps
    last_seq: LastSeq


class ServiceExecutionCancelled(ServiceEventData, frozen=True):
    """An execution was cancelled."""

    topic = "execution.cancelled"
    code = 66

    reason: Annotated[str | None, Meta(description="What the command gave as its reason; a long one is cut.")]
    duration_ms: DurationMs
    steps: Steps
    last_seq: LastSeq


class ServiceExecutionDeleted(ServiceEventData, frozen=True):
    """An execution that had ended was deleted, with its events."""

    topic = "execution.deleted"
    code = 67

    reason: Annotated[
        Literal["requested", "retention"], Meta(description="Whether somebody asked for it, or it was too old.")
    ]


class SystemStartup(ServiceEventData, frozen=True):
    """The service starts. What an earlier process left unfinished is ended after it."""

    topic = "system.startup"
    code = 68

    version: Annotated[str, Meta(description="The version of the service.")]
    previous: Annotated[
        Literal["none", "stopped", "died"],
        Meta(
            description="How the process before it ended: `stopped` is in order; `none` is the first on its database."
        ),
    ]


class SystemShutdown(ServiceEventData, frozen=True):
    """The service has stopped in order: the last event of a process."""

    topic = "system.shutdown"
    code = 69


class SystemResourceWarning(ServiceEventData, frozen=True):
    """Memory or room on the disk runs short, or does not any more. Told once each."""

    topic = "system.resource_warning"
    code = 70

    resource: Annotated[Literal["memory", "disk"], Meta(description="What runs short.")]
    is_short: Annotated[bool, Meta(description="False where it is enough again.")]
    value_bytes: Annotated[int, Meta(description="What was measured: memory in use, or free room on the disk.")]
    limit_bytes: Annotated[int, Meta(description="What it must stay below (memory) or above (disk).")]


class SystemQueueStatus(ServiceEventData, frozen=True):
    """Executions begin to wait for their turn, or none waits any more; while some do, now and then."""

    topic = "system.queue_status"
    code = 73

    queued: Annotated[int, Meta(description="How many wait.")]
    running: Annotated[int, Meta(description="How many run; paused ones do not count.")]
    max_running: Annotated[int, Meta(description="How many may run at once.")]
    by_priority: Annotated[dict[Priority, int], Meta(description="How many wait with each priority; 0 is left out.")]
    oldest_s: Annotated[float, Meta(description="How long the first of them has waited, in seconds; 0 if none does.")]


class SystemDiagnostic(ServiceEventData, frozen=True):
    """The service noticed something that its operator should know."""

    topic = "system.diagnostic"
    code = 71

    problem: Annotated[str, Meta(description="What was noticed, in snake case.")] = field(name="code")
    severity: Annotated[Literal["info", "warning", "error"], Meta(description="How bad it is.")]
    message: Annotated[str, Meta(description="What was noticed, in words.")]
    facts: Annotated[Raw, Meta(description="What a program can act on, by name.")] | UnsetType = UNSET


ServiceEvent: TypeAlias = (
    GraphCreated
    | GraphUpdated
    | GraphDeleted
    | ServiceExecutionStarted
    | ServiceExecutionQueued
    | ServiceExecutionCompleted
    | ServiceExecutionFailed
    | ServiceExecutionCancelled
    | ServiceExecutionDeleted
    | SystemStartup
    | SystemShutdown
    | SystemResourceWarning
    | SystemQueueStatus
    | SystemDiagnostic
)

SERVICE_EVENTS_BY_TOPIC: Mapping[str, type[ServiceEvent]] = MappingProxyType(
    {event.topic: event for event in get_args(ServiceEvent)}
)
"""Every event class of the service under its topic."""


def cut(text: str) -> str:
    """Return a text as it stands in these events."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
