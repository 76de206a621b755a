"""Errors raised on purpose, by meaning; the service renders each once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


class GraphwireError(Exception):
    """An error raised on purpose, for whoever called.

    Attributes:
        code: Stable, documented name in snake case; the problem's ``type`` is ``/problems/<code>``.
        title: Same text for every occurrence; ``detail`` is about this one.
        facts: What a program can act on; extension members of the problem.
    """

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts: Mapping[str, object] = facts


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input, with its place.

    Attributes:
        pointer: JSON Pointer (RFC 6901) into the input; "" is the whole of it.
        code: What is wrong, in snake case.
        detail: What is wrong and what to do, in a sentence. Never raw input: quote it with ``quoted``.
        line: 1-based, where the input was text.
        column: 1-based, likewise.
        file: Name of the file in its folder, where the input was one of several.
    """

    pointer: str
    code: str
    detail: str
    line: int | None = None
    column: int | None = None
    file: str | None = None


class InvalidInput(GraphwireError):
    """An input could be read, but is wrong. Carries every problem at once.

    Attributes:
        left_out: How many more problems there are than ``problems`` holds: of a flood only some are described.
    """

    code, title = "invalid_request", "Invalid request"

    def __init__(self, detail: str, problems: Sequence[Problem] = (), *, left_out: int = 0, **facts: object) -> None:
        super().__init__(detail, **facts)
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.left_out = left_out


class MalformedInput(InvalidInput):
    """A text is not what its media type says."""

    code, title = "malformed_json", "Malformed JSON"


class MalformedYaml(MalformedInput):
    """A text is no YAML, or holds what no JSON value can stand for: a key that is no text, a second document."""

    code, title = "malformed_yaml", "Malformed YAML"


class YamlTag(MalformedInput):
    """A YAML text holds a tag beyond the core schema of YAML 1.2. Nothing was made of it."""

    code, title = "yaml_tag", "Tag not allowed"


class DuplicateKey(MalformedInput):
    """An object names a key twice (RFC 8259 §4 leaves the meaning open)."""

    code, title = "duplicate_key", "Duplicate key"


class InvalidText(MalformedInput):
    """A text holds a lone surrogate, which no UTF-8 can carry."""

    code, title = "invalid_text", "Invalid text"


class YamlAliasLimit(InvalidInput):
    """A YAML text makes more than ``limit`` values through aliases, names a value inside itself, or merges keys."""

    code, title = "yaml_alias_limit", "Alias not allowed"


class TooDeep(InvalidInput):
    """A value is nested deeper than allowed."""

    code, title = "too_deep", "Nested too deep"


class GraphInvalid(InvalidInput):
    """A definition has problems."""

    code, title = "graph_invalid", "Invalid graph"


class UnknownNodeType(GraphInvalid):
    """A definition names node types that are not registered, and that is its only fault."""

    code, title = "unknown_node_type", "Unknown node type"


class CodeNotAllowed(InvalidInput):
    """A definition that came as data names code."""

    code, title = "code_not_allowed", "Code not allowed"


class StateInvalid(InvalidInput):
    """A start's state does not fit the graph's schema or limits."""

    code, title = "state_invalid", "Invalid state"


class ExpressionInvalid(InvalidInput):
    """An expression or a template does not compile."""

    code, title = "expression_invalid", "Invalid expression"


class InvalidCursor(GraphwireError):
    """A position in a stream is no number, negative, or in the future."""

    code, title = "invalid_cursor", "Invalid cursor"


class NotFound(GraphwireError):
    """There is no such thing, or it is not the caller's."""

    code, title = "not_found", "Not found"


class CommandNotAllowed(GraphwireError):
    """The command does not fit the execution's status."""

    code, title = "command_not_allowed", "Command not allowed"


class NothingReady(GraphwireError):
    """There is nothing that a step could run."""

    code, title = "nothing_ready", "Nothing ready"


class InterruptClosed(GraphwireError):
    """The interrupt was answered, has expired, or its node was ended."""

    code, title = "interrupt_closed", "Interrupt closed"


class GraphInUse(GraphwireError):
    """A graph cannot be deleted while it is being executed."""

    code, title = "graph_in_use", "Graph in use"


class AlreadyRunning(GraphwireError):
    """The graph lets no further execution of it be started while it runs; ``executions`` names those that do."""

    code, title = "already_running", "Already running"


class AtCapacity(GraphwireError):
    """A limit on how many may be open at once is reached."""

    code, title = "at_capacity", "At capacity"


class ShuttingDown(GraphwireError):
    """The process drains and accepts no more."""

    code, title = "shutting_down", "Shutting down"


class StorageUnavailable(GraphwireError):
    """The database cannot take this now."""

    code, title = "storage_unavailable", "Storage unavailable"


class HistoryDamaged(GraphwireError):
    """What is stored of an execution, or of the service, is not what was written, or a newer version wrote it."""

    code, title = "history_damaged", "History damaged"


class NodeError(GraphwireError):
    """An attempt failed for a reason with a code of its own; nodes may raise it too."""

    code, title = "exception", "The node raised an exception"


class NodeTimeout(NodeError):
    """An attempt took longer than its ``timeout_s``."""

    code, title = "timeout", "Timeout"


class InterruptExpired(NodeTimeout):
    """Nobody answered what a node asked in the time that it gave."""

    code, title = "interrupt_expired", "Interrupt expired"


class CircuitOpen(NodeError):
    """The node's circuit breaker lets nothing through at the moment.

    Attributes:
        retry_after_s: How long that lasts at least.
    """

    code, title = "circuit_breaker_open", "Circuit breaker open"
    is_transient = True
    retry_after_s = 0.0


class NodeQuarantined(NodeError):
    """The node failed too often in a row: it is not run for a while."""

    code, title = "node_quarantined", "Node in quarantine"


class BudgetExhausted(NodeError):
    """A node waited too long for leave to begin: the service does as much as it may."""

    code, title = "budget_exhausted", "Budget exhausted"


class RoutingError(NodeError):
    """An expression on an outgoing edge, or a ``Goto``, failed."""

    code, title = "routing_error", "Routing error"


class NoRoute(RoutingError):
    """No case of a switch holds, and it has no default."""

    code, title = "no_route", "No route"


class LoopLimitExceeded(NodeError):
    """The condition of a ``while`` still holds after ``max_iterations``."""

    code, title = "loop_limit_exceeded", "Loop limit exceeded"


class InputError(NodeError):
    """What a node needs is missing from the state, or is of the wrong kind."""

    code, title = "input_error", "Input error"


class ReducerError(NodeError):
    """A reducer could not fold an update."""

    code, title = "reducer_error", "Reducer error"


class MergeConflict(NodeError):
    """States that meet hold different values under a key whose policy is ``fail``."""

    code, title = "merge_conflict", "Merge conflict"


class StateTooLarge(NodeError):
    """The state would exceed ``max_state_bytes``."""

    code, title = "state_too_large", "State too large"


class StateNotSerializable(NodeError):
    """A value is not JSON and has no documented conversion to it."""

    code, title = "state_not_serializable", "State not serializable"


class ExpressionFailed(NodeError):
    """An expression failed while it was evaluated."""

    code, title = "expression_error", "Expression error"


class ExpressionCost(ExpressionFailed):
    """An expression took more steps or made larger values than it may."""

    code, title = "expression_cost", "Expression too costly"


def quoted(text: str, limit: int = 64) -> str:
    """Return text from outside in a form that is safe to show anywhere, in double quotes.

    Cut at ``limit`` characters; control, format and bidirectional characters, surrogates and quotes are
    escaped as ``\\uXXXX``. Never fails.
    """
    cut = text[:limit]
    shown = "".join(_shown(character) for character in cut)
    return f'"{shown}…"' if len(text) > limit else f'"{shown}"'


def _shown(character: str) -> str:
    if character.isprintable() and character not in '"\\':
        return character
    point = ord(character)
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
