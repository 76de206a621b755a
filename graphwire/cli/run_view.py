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


@dataclass(slots=True)
class Row:
    """A node at work.

    Attributes:
        since_ns: When its attempt started, in the run's own time.
        completed, total, message: Its own progress, as far as it tells it.
    """

    name: str
    since_ns: int
    completed: float | None = None
    total: float | None = None
    message: str = ""


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
        now_ns: The time of the newest event.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    completed: int = 0
    failed: int = 0
    texts: dict[str, str] = field(default_factory=dict)
    now_ns: int = 0
    _lines: deque[Line] = field(default_factory=deque)

    def apply(self, event: Envelope) -> None:
        """Take in the next event."""
        self.now_ns = event.mono_ns
        key = event.activation or ""
        match event.data:
            case types.NodeStarted(attempt=attempt):
                again = f" (attempt {attempt})" if attempt > 1 else ""
                self.rows[key] = Row(_name(event) + again, event.mono_ns)
            case types.NodeCompleted(duration_ms=duration_ms):
                self._close(event)
                self.completed += 1
                if not event.path:  # the items of a foreach have their opener's progress
                    self._tell(f"{_name(event)} done in {in_words(duration_ms / 1000)}", "good")
            case types.NodeFailed(error=error, will_retry=will_retry):
                self._close(event)
                self.failed += 1
                rest = "; it is tried again" if will_retry else ""
                self._tell(f"{_name(event)} failed: {_failure(error)}{rest}", "warning" if will_retry else "bad")
            case types.NodeCancelled(reason=reason):
                self._close(event)
                why = "" if reason == "cancelled" else f": {printable(reason)}"
                self._tell(f"{_name(event)} was cancelled{why}", "warning")
            case types.NodeProgress() as progress:
                self._progress(key, progress)
            case types.LlmChunk() as chunk:
                self._stream(event, chunk)
            case types.NodeLog(level=level, message=message):
                self._tell(f"{_name(event)}: {_lines(message)}", _LEVELS.get(level, "plain"))
            case types.NodeMessage(message=message):
                self._tell(f"{_name(event)}: {_value(message)}")
            case types.Diagnostic(severity=severity, message=message):
                self._tell(_lines(message), _LEVELS.get(severity, "plain"))
            case types.StateMergeConflictDetected(key=name, nodes=nodes, policy=policy):
                between = ", ".join(printable(node, 64) for node in nodes)
                self._tell(f"conflict at {printable(name, 64)} ({between}): {printable(policy, 64)}", "warning")
            case types.EventsDropped(count=count):
                self._tell(f"{_name(event)}: {count:,} of its events were dropped", "warning")
            case types.ExecutionTimeout(limit=limit, limit_s=limit_s):
                self._tell(f"the time limit {printable(limit, 64)} of {limit_s:g} s is over", "bad")
            case _:
                pass

    def note(self, text: str) -> None:
        """Take in what is no event of the run, but happened to whoever watches it."""
        self._tell(printable(text, 500), "warning")

    def take_lines(self) -> Iterator[Line]:
        """Yield what has to be told since the last time."""
        while self._lines:
            yield self._lines.popleft()

    def _tell(self, text: str, tone: Tone = "plain") -> None:
        self._lines.append(Line(self.now_ns, text, tone))

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
