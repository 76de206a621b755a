"""``graphwire run``: a run with a live view, of a graph from a file that runs here."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol, TypeAlias

from rich.text import Text

from graphwire.cli.files import GraphFile, graph_beside
from graphwire.cli.live import LiveScreen, NoScreen, PlainScreen, Screen
from graphwire.cli.printing import (
    NotWritten,
    error_console,
    json_bytes,
    printable,
    prints_aside,
    show_cursor,
    tell,
    write_bytes,
    write_lines,
)
from graphwire.cli.run_view import RunView, in_words
from graphwire.client.errors import ClientError
from graphwire.engine.linking import compile_linked
from graphwire.engine.options import Options
from graphwire.engine.progress import Progress
from graphwire.engine.runner import Start
from graphwire.engine.start_state import freeze_start
from graphwire.errors import InvalidInput, StateInvalid
from graphwire.events.encoding import decode_line
from graphwire.ids import draw_seed
from graphwire.json_text import read_json
from graphwire.live_run import Finished, start_live
from graphwire.nodes import builtin_registry
from graphwire.types import Ordering

REDRAW_S: Final = 0.1
_STATUS: Final = {signal.SIGINT: 130, signal.SIGTERM: 143}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a graph is run and shown.

    Attributes:
        as_json: Every event goes to standard output, a line each, and nothing else does.
        output: Takes the final state; None writes it to standard output.
    """

    state: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    ordering: Ordering = "as_finished"
    timeout_s: float | None = None
    as_json: bool = False
    quiet: bool = False
    output: Path | None = None


class Followed(Protocol):
    """A run that goes on, wherever."""

    def progress(self) -> Progress:
        """Return how far it is."""
        ...

    def pages(self) -> AsyncIterator[list[bytes]]:
        """Yield every event as a line of JSON, in lists; ends after the sentinel."""
        ...

    async def cancel(self, reason: str | None = None) -> None:
        """Ask for cancellation; safe to repeat, also after the end."""
        ...

    async def finished(self) -> Finished:
        """Wait for the end and return it."""
        ...


Begin: TypeAlias = Callable[[RunView], AbstractAsyncContextManager[Followed]]
"""Starts a run; takes what is shown of it, to say what is no event of it."""


def run_graph(file: GraphFile, graph_id: str | None, options: RunOptions) -> int:
    """Run a graph of a file here, to its end, and return the exit status; see ``show_run``.

    Raises:
        NotFound: The file has no such graph.
        GraphInvalid: A graph that it runs is not there, or cannot run.
        StateInvalid: The state does not fit the graph.
        NotWritten: The result cannot be written; where that shows at once, nothing was started.
    """
    registry = builtin_registry()
    with prints_aside():
        plan = compile_linked(file.graph(graph_id), lambda name: graph_beside(file, name, registry), registry)
    start = Start(
        state=freeze_start(options.state, plan),
        options=Options(
            seed=draw_seed() if options.seed is None else options.seed,
            in_order=options.ordering == "deterministic",
        ),
        timeout_s=options.timeout_s,
    )
    name = str(plan.definition.name or plan.definition.id)
    return show_run(lambda _: start_live(plan, start, is_read_once=True), name, options)


def show_run(begin: Begin, name: str, options: RunOptions) -> int:
    """Show a run to its end and return the exit status: 0 completed, 1 failed, 130 or 143 stopped by a signal.

    Raises:
        NotWritten: The result cannot be written; where that shows at once, nothing was started.
        ClientError: The run is on a server, which refused or cannot be reached.
    """
    if options.output is not None:
        _require_writable(options.output)
    running = _Running(begin, name, options)
    with prints_aside(), running.signals():
        finished = asyncio.run(running.run())
    _tell_end(finished, options)
    if finished.status == "cancelled" and running.signalled is not None:
        return _STATUS[running.signalled]
    return 0 if finished.status == "completed" else 1


def read_state(text: str | None, assignments: list[str]) -> dict[str, Any]:
    """Return a start's state: JSON, ``@`` and a file, or ``-`` for standard input; then ``key=value`` pairs.

    A value that is no JSON is text.

    Raises:
        InvalidInput: It is no JSON object, or a pair has no key.
    """
    state: dict[str, Any] = {}
    if text is not None:
        value = read_json(_given(text))
        if not isinstance(value, dict):
            raise StateInvalid("the state is a JSON object: keys and their values")
        state = value
    for assignment in assignments:
        key, is_pair, value_text = assignment.partition("=")
        if not (key and is_pair):
            raise StateInvalid(f"write key=value, not {printable(assignment, 64)}")
        try:
            state[key] = read_json(value_text.encode(errors="surrogateescape"))
        except InvalidInput:
            state[key] = value_text  # a text that is none is refused with the state
    return state


def read_value(text: str) -> Any:
    """Return a value: JSON, else text; ``@`` and a file, or ``-`` for standard input, hold JSON.

    Raises:
        InvalidInput: The file cannot be read, or is no JSON.
    """
    if text == "-" or text.startswith("@"):
        return read_json(_given(text))
    try:
        return read_json(text.encode(errors="surrogateescape"))
    except InvalidInput:
        return text


def _require_writable(path: Path) -> None:
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        raise NotWritten(f"{path}: {error.strerror}; nothing was started", status=2) from None


def _given(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read()
    if not text.startswith("@"):
        return text.encode(errors="surrogateescape")
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise StateInvalid(f"{text[1:]}: {error.strerror}") from None


class _Running:
    def __init__(self, begin: Begin, name: str, options: RunOptions) -> None:
        self._begin = begin
        self._options = options
        self._view = RunView()
        self._screen = _screen(name, options)
        self._began = time.monotonic()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cancelled = asyncio.Event()
        self.signalled: signal.Signals | None = None

    async def run(self) -> Finished:
        self._loop = asyncio.get_running_loop()  # a signal while it is being started cancels it once it is
        with self._screen:
            async with self._begin(self._view) as run:
                try:
                    return await self._watch(run)
                except* (ClientError, NotWritten) as failures:
                    failure = failures.exceptions[0]
            raise failure

    async def _watch(self, run: Followed) -> Finished:
        async with asyncio.TaskGroup() as group:
            helpers = [group.create_task(self._draw(run)), group.create_task(self._cancel(run))]
            try:
                return await self._follow(run)
            finally:
                for helper in helpers:
                    helper.cancel()
                self._show(run)

    async def _follow(self, run: Followed) -> Finished:
        async for lines in run.pages():
            if self._options.as_json:
                write_lines(lines)
            elif not self._options.quiet:
                for line in lines:
                    self._view.apply(decode_line(line))
        return await run.finished()

    async def _draw(self, run: Followed) -> None:
        while True:
            self._show(run)
            await asyncio.sleep(REDRAW_S)

    def _show(self, run: Followed) -> None:
        self._screen.show(self._view, run.progress(), time.monotonic() - self._began)

    async def _cancel(self, run: Followed) -> None:
        await self._cancelled.wait()
        assert self.signalled is not None
        await run.cancel(f"stopped by {self.signalled.name}")

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Hear of signals within the block. Not by the loop, which a node may hold."""
        before = {each: signal.signal(each, self._stop) for each in _STATUS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.signalled is not None or self._loop is None:
            show_cursor()
            os._exit(_STATUS[signal.Signals(number)])  # also where a node holds the loop or a thread
        self.signalled = signal.Signals(number)
        with contextlib.suppress(OSError):  # said here: the loop may be held
            os.write(2, b"\nCancelling. Once more ends it at once.\n")
        self._loop.call_soon_threadsafe(self._cancelled.set)


def _screen(name: str, options: RunOptions) -> Screen:
    if options.as_json or options.quiet:
        return NoScreen()
    console = error_console()
    return LiveScreen(console, name) if console.is_terminal else PlainScreen()


def _tell_end(finished: Finished, options: RunOptions) -> None:
    state = json_bytes(finished.state)
    if options.output is not None:
        try:
            options.output.write_bytes(state)
        except OSError as failure:
            raise NotWritten(f"{options.output}: {failure.strerror}") from None
    if options.as_json:
        return
    if not options.quiet:
        style = {"completed": "bold green", "failed": "bold red", "cancelled": "bold yellow"}[finished.status]
        partial = " (partial: a node failed on the way)" if finished.outcome == "partial" else ""
        steps = f"{finished.steps:,} step" + ("" if finished.steps == 1 else "s")
        took = f"after {in_words(finished.duration_ms / 1000)} and {steps}"
        tell(Text.assemble((f"{finished.status}{partial}", style), f" {took}"))
    if finished.error is not None:
        error = finished.error
        where = f" in {printable(str(error.node))}" if isinstance(error.node, str) else ""
        tell(Text(f"{error.code}{where}: {error.type}: {printable(error.message, 2_000)}", "red"))
    if options.output is None:
        write_bytes(state)
