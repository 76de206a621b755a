"""What an engine elsewhere reports of its execution: which of its events are taken, and what is filled in."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

from graphwire.errors import Problem, quoted
from graphwire.events import types
from graphwire.events.encoding import Envelope
from graphwire.events.reading import read_data
from graphwire.events.timestamps import parse_timestamp
from graphwire.events.types import EVENTS_BY_TYPE, TERMINAL_TYPES, EventData
from graphwire.types import ExecutionId

Path = list[dict[str, str | int]]

CLOSING: Final = frozenset({"node_completed", "node_failed", "node_cancelled"})
EMITTED: Final = frozenset({"node_message", "llm_chunk", "node_progress", "node_log"})
OF_NODES: Final = frozenset(
    {
        "node_started",
        *CLOSING,
        *EMITTED,
        "node_entered",
        "node_exited",
        "condition_evaluated",
        "data_flow",
        "state_changed",
        "state_merge_conflict_detected",
        "node_skipped_due_to_error_policy",
        "join_released",
    }
)
"""Events that name a node."""
MAX_OPEN: Final = 10_000
"""How many attempts of an execution may be open at once."""
REPORTED: Final = tuple(name for name in EVENTS_BY_TYPE if name in OF_NODES | TERMINAL_TYPES | {"diagnostic"})
"""What an engine elsewhere may send; all else is written here only."""

_FILLED: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "node_started": {"node_type": "foreign", "attempt": 1},
        "node_completed": {"edges": [], "result": None},
        "node_failed": {"edges": [], "will_retry": False},
        "node_message": {"metadata": {}},
        "node_log": {"level": "info", "fields": {}},
        "llm_chunk": {"is_final": False},
        "diagnostic": {"severity": "info", "facts": {}},
        "execution_completed": {"outcome": "success", "state": {}},
    }
)
"""Members of ``data`` that may be left out."""


@dataclass(frozen=True, slots=True)
class Report:
    """An event as its producer sends it; what is None is filled in.

    Attributes:
        id: The producer's own name for it, unique within the execution.
        data: JSON values.
        at_ns: When it happened, since the Unix epoch.
        at: Where it stands in the request: a JSON Pointer.
    """

    id: str
    type: str
    data: Mapping[str, Any]
    at: str
    node_id: str | None = None
    activation: str | None = None
    pass_number: int | None = None
    path: Path | None = None
    at_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was started and is not closed."""

    node_id: str
    activation: str
    number: int
    pass_number: int | None
    path: Path | None
    began_ns: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """An event that is taken, with all that was filled in. ``id`` is None for what the service adds."""

    id: str | None
    data: EventData
    at_ns: int
    node_id: str | None = None
    activation: str | None = None
    pass_number: int | None = None
    path: Path | None = None


@dataclass(slots=True)
class Course:
    """How far a reported execution is.

    Attributes:
        began_ns: When it was declared, since the Unix epoch.
        now_ns: The time of the newest event; events never go back behind it.
        open: By activation, the oldest first.
        open_at: By node, the activations that are open, the newest last.
        passes: By node, how often it was activated outside of other nodes' scopes.
        cancel_reason: Of the last command to cancel it, which ``is_cancelled`` says that there was.
    """

    execution_id: ExecutionId
    began_ns: int
    now_ns: int
    open: dict[str, Attempt] = field(default_factory=dict)
    open_at: dict[str, dict[str, None]] = field(default_factory=dict)
    passes: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    is_cancelled: bool = False
    cancel_reason: str | None = None

    def replay(self, event: Envelope) -> None:
        """Take up an event that was stored."""
        self.now_ns = parse_timestamp(event.ts)
        if event.type == "node_started" and event.activation is not None and event.node_id is not None:
            number = event.data.get("attempt", 1) if isinstance(event.data, dict) else getattr(event.data, "attempt", 1)
            self.open[event.activation] = Attempt(
                event.node_id, event.activation, number, event.pass_number, event.path, self.now_ns
            )
            self.open_at.setdefault(event.node_id, {})[event.activation] = None
            if number == 1:
                self.steps += event.path is None
                self.passes[event.node_id] += event.path is None
        elif event.type in CLOSING:
            attempt = self.open.pop(event.activation or "", None)
            if attempt is not None:
                activations = self.open_at[attempt.node_id]
                del activations[attempt.activation]
                if not activations:
                    del self.open_at[attempt.node_id]


class Draft:
    """A request's events, looked at one after the other; nothing of it counts before ``take_over``.

    Args:
        now_ns: What the time is; an event cannot have happened later.
    """

    def __init__(self, course: Course, now_ns: int) -> None:
        self._course = course
        self._limit_ns = max(course.now_ns, now_ns)
        self._now_ns = course.now_ns
        self._changed: dict[str, Attempt | None] = {}
        self._open_at: dict[str, dict[str, None]] = {}  # of nodes for which it has changed
        self._count = len(course.open)
        self._passes: Counter[str] = Counter()
        self._steps = 0
        self._ended_by: str | None = None
        self.events: list[Admitted] = []
        self.problems: list[Problem] = []

    def add(self, report: Report) -> None:
        """Look at the next event: it is among ``events`` then, or what is wrong with it among ``problems``."""
        kind = EVENTS_BY_TYPE[report.type]
        known = len(self.problems)
        if self._ended_by is not None:
            self._refuse(report, "", "after_end", f"nothing follows {self._ended_by}")
        if report.type in OF_NODES and report.node_id is None:
            self._refuse(report, "/node_id", "missing_field", f"an event {report.type} names its node")
        if report.type in TERMINAL_TYPES and report.node_id is not None:
            self._refuse(report, "/node_id", "invalid_value", f"an event {report.type} has no node")
        attempt = self._attempt(report)
        at_ns = min(max(self._now_ns, self._limit_ns if report.at_ns is None else report.at_ns), self._limit_ns)
        given = {**self._filled(report, attempt, at_ns), **report.data}
        data, found = read_data(kind, given, at=f"{report.at}/data")
        self.problems += found
        if data is None:
            if report.type == "node_started" and report.node_id is not None:
                self._started(report, 1, at_ns)  # else each later event of the attempt would be a problem, too
            return
        if report.type == "execution_completed" and not isinstance(given["state"], dict):
            self._refuse(report, "/data/state", "invalid_value", "the state must be an object: values by their keys")
        if attempt is not None and report.type in CLOSING and given["attempt"] != attempt.number:
            detail = f"attempt {attempt.number} of this activation is the one that is open"
            self._refuse(report, "/data/attempt", "invalid_value", detail)
        if len(self.problems) == known:
            self._admit(report, data, attempt, at_ns)

    def _attempt(self, report: Report) -> Attempt | None:
        """Return the open attempt that an event belongs to."""
        if report.node_id is None:
            return None
        if report.activation:
            attempt = self._open(report.activation)
        else:
            attempt = None if report.type == "node_started" else self._newest(report.node_id)
        if attempt is not None and attempt.node_id != report.node_id:
            detail = f"this activation is one of node {quoted(attempt.node_id)}"
            self._refuse(report, "/node_id", "invalid_value", detail)
        if report.type == "node_started":
            if attempt is not None:
                detail = "an attempt of this activation is open; close it first"
                self._refuse(report, "", "already_started", detail)
            return None
        if attempt is None and report.type in CLOSING | EMITTED:
            detail = f"no attempt of node {quoted(report.node_id)} is open; send its node_started first"
            self._refuse(report, "", "not_started", detail)
        return attempt

    def _open(self, activation: str) -> Attempt | None:
        if activation in self._changed:
            return self._changed[activation]
        return self._course.open.get(activation)

    def _newest(self, node_id: str) -> Attempt | None:
        activations = self._open_at.get(node_id, self._course.open_at.get(node_id))
        return self._open(next(reversed(activations))) if activations else None

    def _changing(self, node_id: str) -> dict[str, None]:
        """Return the activations of a node that are open, to be changed."""
        if node_id not in self._open_at:
            self._open_at[node_id] = dict(self._course.open_at.get(node_id, ()))
        return self._open_at[node_id]

    def _filled(self, report: Report, attempt: Attempt | None, at_ns: int) -> dict[str, Any]:
        filled = dict(_FILLED.get(report.type, {}))
        if report.type in CLOSING:
            filled["attempt"] = 1 if attempt is None else attempt.number
            filled["duration_ms"] = 0.0 if attempt is None else _ms(at_ns - attempt.began_ns)
        elif report.type in TERMINAL_TYPES:
            filled["duration_ms"] = _ms(at_ns - self._course.began_ns)
            filled["steps"] = self._course.steps + self._steps
            if report.type == "execution_cancelled":
                filled["reason"] = self._course.cancel_reason
        return filled

    def _admit(self, report: Report, data: EventData, attempt: Attempt | None, at_ns: int) -> None:
        self._now_ns = at_ns
        if report.type in TERMINAL_TYPES:
            self._ended_by = report.type
            for left in self._left_open():
                self.events.append(closed(left, at_ns, "the execution ended"))
        if report.type == "node_started":
            attempt = self._started(report, getattr(data, "attempt", 1), at_ns)
        elif report.type in CLOSING and attempt is not None:
            self._changed[attempt.activation] = None
            self._changing(attempt.node_id).pop(attempt.activation, None)
            self._count -= 1
        self.events.append(
            Admitted(
                report.id,
                data,
                at_ns,
                report.node_id,
                report.activation if attempt is None else attempt.activation,
                report.pass_number if attempt is None else attempt.pass_number,
                report.path if attempt is None else attempt.path,
            )
        )

    def _started(self, report: Report, number: int, at_ns: int) -> Attempt:
        assert report.node_id is not None
        activation = report.activation or _name(self._course.execution_id, report.id)
        pass_number = report.pass_number
        if report.path is None:
            if number == 1:
                self._passes[report.node_id] += 1
                self._steps += 1
            if pass_number is None:
                pass_number = self._course.passes[report.node_id] + self._passes[report.node_id]
        attempt = Attempt(report.node_id, activation, number, pass_number or None, report.path, at_ns)
        self._changed.pop(activation, None)  # the newest stands last
        self._changed[activation] = attempt
        self._changing(attempt.node_id)[activation] = None
        self._count += 1
        if self._count > MAX_OPEN:
            detail = f"{MAX_OPEN:,} attempts are open; close some first: node_completed, node_failed or node_cancelled"
            self._refuse(report, "", "too_many_open", detail)
        return attempt

    def _left_open(self) -> list[Attempt]:
        before = [each for name, each in self._course.open.items() if name not in self._changed]
        return before + [each for each in self._changed.values() if each is not None]

    def _refuse(self, report: Report, place: str, code: str, detail: str) -> None:
        self.problems.append(Problem(report.at + place, code, detail))

    def take_over(self) -> None:
        """Let it count."""
        course = self._course
        for activation, attempt in self._changed.items():
            course.open.pop(activation, None)
            if attempt is not None:
                course.open[activation] = attempt
        for node_id, activations in self._open_at.items():
            course.open_at.pop(node_id, None)
            if activations:
                course.open_at[node_id] = activations
        course.passes.update(self._passes)
        course.steps += self._steps
        course.now_ns = self._now_ns


def closed(attempt: Attempt, at_ns: int, reason: str) -> Admitted:
    """Return the event that closes an attempt which nobody closed."""
    data = types.NodeCancelled(attempt=attempt.number, duration_ms=_ms(at_ns - attempt.began_ns), reason=reason)
    return Admitted(None, data, at_ns, attempt.node_id, attempt.activation, attempt.pass_number, attempt.path)


def _ms(duration_ns: int) -> float:
    return max(duration_ns, 0) // 1000 / 1000


def _name(execution_id: ExecutionId, event_id: str) -> str:
    return sha256(f"{execution_id}\n{event_id}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
