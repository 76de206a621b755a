"""A run on a terminal: a bar for each node at work, how far the whole is, and what nodes say."""

import math
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from graphwire.cli.printing import printable, tell
from graphwire.cli.run_view import Line, Row, RunView, in_words
from graphwire.engine.progress import Progress

MAX_ROWS: Final = 8
MAX_TEXTS: Final = 3
MAX_LINES: Final = 100
"""At one drawing; who logs faster than that is not read."""
TEXT_LINES: Final = 4
_STYLES: Final = {"plain": "", "good": "green", "warning": "yellow", "bad": "bold red"}


class Screen(Protocol):
    """Where a run is shown."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def show(self, view: RunView, progress: Progress, elapsed_s: float) -> None:
        """Show how things stand; called some ten times a second, and at the end."""
        ...


class LiveScreen:
    """Redraws in place; what has been said scrolls up."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = printable(name, 40)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._spinner = Spinner("dots")

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, traceback)

    def show(self, view: RunView, progress: Progress, elapsed_s: float) -> None:
        lines = list(view.take_lines())
        if lines:  # printed at once: each time costs a drawing of all that stands below
            left_out = max(0, len(lines) - MAX_LINES)
            note = [Text(f"           … {left_out:,} more lines", "dim")] if left_out else []
            self._console.print(Text("\n").join([*note, *map(told, lines[left_out:])]))
        self._live.update(Group(*self._parts(view, progress, elapsed_s)), refresh=True)

    def _parts(self, view: RunView, progress: Progress, elapsed_s: float) -> Iterator[Table | Text]:
        rows = list(view.rows.values())
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=None, max_width=40)
        table.add_column(width=max(8, min(30, self._console.width // 4)))
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_row(Text(self._name, "bold"), _bar(progress.percent, 100), _standing(view, progress, elapsed_s))
        for row in rows[:MAX_ROWS]:
            table.add_row(Text(f"  {row.name}"), self._work(row, elapsed_s), _told(row, elapsed_s))
        yield table
        if len(rows) > MAX_ROWS:
            yield Text(f"  and {len(rows) - MAX_ROWS:,} more", "dim")
        for text in list(view.texts.values())[-MAX_TEXTS:]:
            yield Text(_tail(text, self._console.width), "italic")
        for hint in hints(view):
            yield Text(f"  {hint}", "cyan")

    def _work(self, row: Row, elapsed_s: float) -> ProgressBar | Text:
        if row.completed is not None and row.total:
            return _bar(row.completed, row.total)
        return self._spinner.render(elapsed_s)  # type: ignore[return-value]  # text, for a spinner without a table


class PlainScreen:
    """A line for each thing that happens, for pipes and logs."""

    def __init__(self) -> None:
        self._hinted: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def show(self, view: RunView, progress: Progress, elapsed_s: float) -> None:
        lines = [told(line) for line in view.take_lines()]
        now = list(hints(view))
        lines += [Text(f"           {hint}", "cyan") for hint in now if hint not in self._hinted]
        self._hinted = set(now)
        if lines:
            tell(Text("\n").join(lines))


class NoScreen:
    """Shows nothing of the run: ``--quiet`` and ``--json``."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def show(self, view: RunView, progress: Progress, elapsed_s: float) -> None:
        """See ``Screen``."""


def told(line: Line) -> Text:
    """Return a line with the time at which it happened."""
    return Text.assemble((f"{line.at_ns / 1e9:9.3f}  ", "dim"), (line.text, _STYLES[line.tone]))


def hints(view: RunView) -> Iterator[str]:
    """Yield what can be typed elsewhere to have a run go on."""
    if view.execution_id is None:
        if view.questions:
            yield "Only a run on a server can be answered; Ctrl-C cancels this one."
        return
    for question in list(view.questions.values())[:MAX_TEXTS]:
        which = f" --interrupt {question.interrupt_id}" if len(view.questions) > 1 else ""
        yield f"graphwire executions input {view.execution_id} VALUE{which}   # {question.node}"
    if view.paused is not None and not view.questions:
        yield f"graphwire executions resume {view.execution_id}   # or: step, state, edit, cancel"


def _bar(completed: float, total: float) -> ProgressBar:
    return ProgressBar(total=total, completed=completed, finished_style="green")


def _standing(view: RunView, progress: Progress, elapsed_s: float) -> Text:
    parts = [] if view.paused is None else [view.paused]
    if view.queued is not None:
        parts.append(f"queued at place {view.queued}")
    parts += [f"{math.floor(progress.percent)} %", f"{progress.completed} of {progress.total} nodes"]
    if view.failed:
        parts.append(f"{view.failed} failed")
    parts.append(in_words(elapsed_s))
    left_s = time_left(progress, elapsed_s)
    if left_s is not None:
        parts.append(f"about {in_words(max(1.0, left_s))} left")
    return Text(" · ".join(parts))


def time_left(progress: Progress, elapsed_s: float) -> float | None:
    """Return the seconds that are left: from earlier runs, else from this one's pace once it shows; None before."""
    if progress.eta_s is not None:
        return progress.eta_s
    if not 5 <= progress.percent < 100 or elapsed_s < 1:
        return None
    return elapsed_s * (100 - progress.percent) / progress.percent


def _told(row: Row, elapsed_s: float) -> Text:
    parts = [in_words(max(0.0, elapsed_s - row.since_ns / 1e9))]
    if row.completed is not None:
        parts.insert(0, f"{row.completed:g}" + (f"/{row.total:g}" if row.total else ""))
    if row.message:
        parts.append(row.message)
    return Text(" · ".join(parts), "dim")


def _tail(text: str, width: int) -> str:
    lines = [printable(line, 4_000) for line in text[-width * TEXT_LINES :].split("\n")]
    return "\n".join(lines[-TEXT_LINES:])
