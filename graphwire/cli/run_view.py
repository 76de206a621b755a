"""What a person is shown of a run: a fold over its events, without clock or terminal."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import msgspec

from graphwire.cli.printing import printable
from graphwire.events import types
from graphwire.events.encoding import Envelope

Tone: TypeAlias = Literal["plain", "good", "warning", "bad"]

_MAX_TEXT = 20_000
_MAX_STREAMS = 100
_MAX_VOID = 65_536
"""So many events at most were shown and not stored when a process died."""


@dataclass(slots=True)
class Row:
    """A node at work.

    Attributes:
        since_ns: When its attempt started, in the run's own time.
        seq: The number of the event that told so.
        completed, total, message: Its own progress, as far as it tells it.
    """

    name: str
    since_ns: int
    seq: int
    completed: float | None = None
    total: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What a node waits to be told.

    Attributes:
        payload: What it asks, as JSON that a terminal may show.
    """

    node: str
    interrupt_id: str
    payload: str
    seq: int


@dataclass(frozen=True, slots=True)
class Line:
    """Something that stays on the screen."""

    at_ns: int
    text: str
    tone: Tone = "plain"


@dataclass
class RunView:
    """Nodes at work, counts, texts that are being streamed, and lines to be told once.

    Attributes:
        rows: By activation, in the order of their starts.
        texts: What nodes stream, by stream; gone once it is final.
        paused: Why nothing goes on; None while it does.
        questions: What waits for an answer, by interrupt.
        queued: Its place among those that wait for their turn; None once it has begun.
        execution_id: Names the run, where it can be steered from elsewhere.
        now_ns: The time of the newest event.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    completed: int = 0
    failed: int = 0
    texts: dict[str, str] = field(default_factory=dict)
    paused: str | None = None
    questions: dict[str, Question] = field(default_factory=dict)
    queued: int | None = None
    execution_id: str | None = None
    now_ns: int = 0
    _lines: deque[Line] = field(default_factory=deque)
    _counted: deque[tuple[int, bool]] = field(default_factory=lambda: deque(maxlen=_MAX_VOID))

    def apply(self, event: Envelope) -> None:
        """Take in the next event."""
        self.now_ns = event.mono_ns
        if not self._apply_to_nodes(event):
            self._apply_to_execution(event)

    def _apply_to_nodes(self, event: Envelope) -> bool:
        """Take in what happened to an attempt; whether it was that."""
        key = event.activation or ""
        match event.data:
            case types.NodeStarted(attempt=attempt):
                again = f" (attempt {attempt})" if attempt > 1 else ""
                self.rows[key] = Row(_name(event) + again, event.mono_ns, event.seq)
                self.queued = None
            case types.NodeCompleted(duration_ms=duration_ms):
                self._close(event)
                self._count(event.seq, 1)
                if not event.path:  # the items of a foreach have their opener's progress
                    self._tell(f"{_name(event)} done in {in_words(duration_ms / 1000)}", "good")
            case types.NodeFailed(error=error, will_retry=will_retry):
                self._close(event)
                self._count(event.seq, -1)
                rest = "; it is tried again" if will_retry else ""
                self._tell(f"{_name(event)} failed: {_failure(error)}{rest}", "warning" if will_retry else "bad")
            case types.NodeCancelled(reason=reason):
                self._close(event)
                why = "" if reason == "cancelled" else f": {printable(reason)}"
                self._tell(f"{_name(event)} was cancelled{why}", "warning")
            case types.NodeSuspended(interrupt_id=interrupt_id, payload=payload):
                self._close(event)
                question = Question(
                    _name(event), printable(interrupt_id, 64), printable(bytes(payload).decode()), event.seq
                )
                self.questions[interrupt_id] = question
                self._tell(f"{question.node} waits to be told: {question.payload}", "warning")
            case types.NodeProgress() as progress:
                self._progress(key, progress)
            case types.LlmChunk() as chunk:
                self._stream(event, chunk)
            case types.NodeLog(level=level, message=message):
                self._tell(f"{_name(event)}: {_lines(message)}", _LEVELS.get(level, "plain"))
            case types.NodeMessage(message=message):
                self._tell(f"{_name(event)}: {_value(message)}")
            case types.EventsDropped(count=count):
                self._tell(f"{_name(event)}: {count:,} of its events were dropped", "warning")
            case types.RetryScheduled(attempt=attempt, delay_ms=delay_ms):
                self._tell(f"{_name(event)}: attempt {attempt} in {in_words(delay_ms / 1000)}", "warning")
            case _:
                return False
        return True

    def _apply_to_execution(self, event: Envelope) -> None:
        match event.data:
            case types.ExecutionQueued(position=position, reason=reason):
                self.queued = position
                self._tell(f"queued at place {position}: {printable(reason)}")
            case types.ExecutionPaused(reason=reason):
                self.paused = _PAUSED.get(reason, printable(reason, 64))
                self._tell(self.paused, "warning")
            case types.ExecutionResumed(paused_ms=paused_ms):
                self.paused = None
                self._tell(f"goes on after {in_words(paused_ms / 1000)}")
            case types.BreakpointHit(when=when):
                self._tell(f"breakpoint {printable(when, 8)} {_name(event)}", "warning")
            case types.InputReceived(interrupt_id=interrupt_id):
                question = self.questions.pop(interrupt_id, None)
                if question is not None:
                    self._tell(f"{question.node} was answered")
            case types.VariableChanged(keys=keys):
                self._tell(f"the state was edited: {', '.join(printable(key, 64) for key in keys)}", "warning")
            case types.CheckpointRestored(valid_to=valid_to):
                self._take_back(valid_to)
            case types.Diagnostic(severity=severity, message=message):
                self._tell(_lines(message), _LEVELS.get(severity, "plain"))
            case types.StateMergeConflictDetected(key=name, nodes=nodes, policy=policy):
                between = ", ".join(printable(node, 64) for node in nodes)
                self._tell(f"conflict at {printable(name, 64)} ({between}): {printable(policy, 64)}", "warning")
            case types.ExecutionTimeout(limit=limit, limit_s=limit_s):
                self._tell(f"the time limit {printable(limit, 64)} of {limit_s:g} s is over", "bad")
            case _:
                pass

    def begins(self, execution_id: str) -> None:
        """Take in the name of a run that can be followed and steered from elsewhere."""
        self.execution_id = printable(execution_id, 64)
        self._tell(f"execution {self.execution_id}")

    def note(self, text: str) -> None:
        """Take in what is no event of the run, but happened to whoever watches it."""
        self._tell(printable(text, 500), "warning")

    def take_lines(self) -> Iterator[Line]:
        """Yield what has to be told since the last time."""
        while self._lines:
            yield self._lines.popleft()

    def _tell(self, text: str, tone: Tone = "plain") -> None:
        self._lines.append(Line(self.now_ns, text, tone))

    def _count(self, seq: int, outcome: Literal[1, -1]) -> None:
        self._counted.append((seq, outcome > 0))
        self.completed += outcome > 0
        self.failed += outcome < 0

    def _take_back(self, valid_to: int) -> None:
        """What came after this event and was not stored did not happen."""
        self.rows = {key: row for key, row in self.rows.items() if row.seq <= valid_to}
        self.questions = {key: each for key, each in self.questions.items() if each.seq <= valid_to}
        self.texts.clear()  # the attempts that streamed them begin anew
        while self._counted and self._counted[-1][0] > valid_to:
            _, has_completed = self._counted.pop()
            self.completed -= has_completed
            self.failed -= not has_completed
        self._tell("the service died and is back; what it had not stored is done again", "warning")

    def _close(self, event: Envelope) -> None:
        """An attempt ended: what it streamed and did not finish is told as it is."""
        key = event.activation or ""
        self.rows.pop(key, None)
        for stream in [stream for stream in self.texts if stream.startswith(f"{key} ")]:
            self._tell(f"{_name(event)}: {_lines(self.texts.pop(stream))}")

    def _progress(self, key: str, progress: types.NodeProgress) -> None:
        row = self.rows.get(key)
        if row is not None:
            row.completed = progress.completed
            row.total = progress.total if isinstance(progress.total, int | float) else None
            row.message = printable(progress.message, 64) if isinstance(progress.message, str) else ""

    def _stream(self, event: Envelope, chunk: types.LlmChunk) -> None:
        key = f"{event.activation} {chunk.stream_id}"
        text = self.texts.pop(key, "") + chunk.text
        if chunk.is_final:
            self._tell(f"{_name(event)}: {_lines(text)}")
        elif len(self.texts) < _MAX_STREAMS:
            self.texts[key] = text[-_MAX_TEXT:]


_PAUSED = {
    "command": "paused",
    "breakpoint": "paused at a breakpoint",
    "step": "paused after a step",
    "waiting_for_input": "waiting for input",
    "budget": "paused: its budget is used up",
    "code_changed": "paused: its code has changed",
}
_LEVELS: dict[str, Tone] = {"warning": "warning", "error": "bad", "critical": "bad"}


def in_words(seconds: float) -> str:
    """Return a duration as people write it: ``12 ms``, ``3.4 s``, ``2 min 5 s``, ``1 h 2 min``."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _name(event: Envelope) -> str:
    """Return the node with what encloses it: ``parse[3] > count``."""
    scopes = event.path or []
    names = [f"{scope['node']}[{scope['index']}]" if "index" in scope else str(scope["node"]) for scope in scopes]
    return " > ".join([*names, event.node_id or ""])


def _failure(error: types.Failure | Any) -> str:
    if isinstance(error, types.Failure):
        return f"{error.type}: {_lines(error.message)}"
    return "an error that is too long to be shown here"


def _value(message: msgspec.Raw) -> str:
    value = msgspec.json.decode(message)
    return _lines(value) if isinstance(value, str) else printable(bytes(message).decode())


def _lines(text: str) -> str:
    """Keep the lines of a text, and make each safe to show."""
    shown = text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"
    return "\n".join(printable(line, 4_000) for line in shown.split("\n"))
