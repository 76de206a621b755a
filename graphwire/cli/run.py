"""``graphwire run``: a graph from a file, run here, with a live view."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.text import Text

from graphwire.cli.files import FileGraph
from graphwire.cli.live import LiveScreen, NoScreen, PlainScreen, Screen
from graphwire.cli.printing import error_console, printable, write_bytes
from graphwire.cli.run_view import RunView, in_words
from graphwire.engine.options import Options
from graphwire.engine.plan import Plan, compile_plan
from graphwire.engine.runner import Start
from graphwire.engine.start_state import freeze_start
from graphwire.errors import InvalidInput, StateInvalid
from graphwire.events.encoding import decode_line
from graphwire.json_text import read_json
from graphwire.live_run import Finished, LiveRun, start_live
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


def run_graph(graph: FileGraph, options: RunOptions) -> int:
    """Run a graph to its end and return the exit status: 0 completed, 1 failed, 130 or 143 stopped by a signal.

    Raises:
        StateInvalid: The state does not fit the graph.
    """
    plan = compile_plan(graph.definition, builtin_registry(), graph.code)
    start = Start(
        state=freeze_start(options.state, plan),
        options=Options(
            seed=secrets.randbits(63) if options.seed is None else options.seed,
            in_order=options.ordering == "deterministic",
        ),
        timeout_s=options.timeout_s,
    )
    finished, signalled = asyncio.run(_Running(plan, start, options).run())
    _tell_end(finished, options)
    return _STATUS[signalled] if signalled is not None else 0 if finished.status == "completed" else 1


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
            state[key] = read_json(value_text.encode())
        except InvalidInput:
            state[key] = value_text
    return state


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
    def __init__(self, plan: Plan, start: Start, options: RunOptions) -> None:
        self._plan = plan
        self._start = start
        self._options = options
        self._view = RunView()
        self._screen = _screen(str(plan.definition.name or plan.definition.id), options)
        self._began = time.monotonic()
        self._signalled: signal.Signals | None = None
        self._cancelling: asyncio.Task[None] | None = None

    async def run(self) -> tuple[Finished, signal.Signals | None]:
        with self._screen:
            async with start_live(self._plan, self._start) as run:
                with self._signals(run):
                    return await self._follow(run), self._signalled

    async def _follow(self, run: LiveRun) -> Finished:
        drawing = asyncio.get_running_loop().create_task(self._draw(run))
        try:
            async for lines in run.pages():
                if self._options.as_json:
                    write_bytes(b"\n".join([*lines, b""]))
                elif not self._options.quiet:
                    for line in lines:
                        self._view.apply(decode_line(line))
            return await run.finished()
        finally:
            drawing.cancel()
            self._show(run)

    async def _draw(self, run: LiveRun) -> None:
        while True:
            self._show(run)
            await asyncio.sleep(REDRAW_S)

    def _show(self, run: LiveRun) -> None:
        self._screen.show(self._view, run.progress(), time.monotonic() - self._began)

    @contextlib.contextmanager
    def _signals(self, run: LiveRun) -> Iterator[None]:
        if sys.platform == "win32":  # no loop there hears signals: Ctrl-C ends the run at once
            yield
            return
        loop = asyncio.get_running_loop()
        for each in _STATUS:
            loop.add_signal_handler(each, self._stop, run, each)
        try:
            yield
        finally:
            for each in _STATUS:
                loop.remove_signal_handler(each)

    def _stop(self, run: LiveRun, signalled: signal.Signals) -> None:
        if self._signalled is not None:
            self._screen.__exit__(None, None, None)
            os._exit(_STATUS[signalled])  # also where a node holds a thread
        self._signalled = signalled
        self._screen.say("Cancelling. Once more ends it at once.")
        self._cancelling = asyncio.get_running_loop().create_task(run.cancel(f"stopped by {signalled.name}"))


def _screen(name: str, options: RunOptions) -> Screen:
    console = error_console()
    if options.as_json or options.quiet:
        return NoScreen(console)
    return LiveScreen(console, name) if console.is_terminal else PlainScreen(console)


def _tell_end(finished: Finished, options: RunOptions) -> None:
    state = json.dumps(finished.state, ensure_ascii=False, indent=2).encode(errors="backslashreplace") + b"\n"
    if options.output is not None:
        options.output.write_bytes(state)
    if options.as_json:
        return
    if not options.quiet:
        style = {"completed": "bold green", "failed": "bold red", "cancelled": "bold yellow"}[finished.status]
        partial = " (partial: a node failed on the way)" if finished.outcome == "partial" else ""
        steps = f"{finished.steps:,} step" + ("" if finished.steps == 1 else "s")
        took = f"after {in_words(finished.duration_ms / 1000)} and {steps}"
        error_console().print(Text.assemble((f"{finished.status}{partial}", style), f" {took}"))
    if finished.error is not None:
        error = finished.error
        where = f" in {printable(str(error.node))}" if isinstance(error.node, str) else ""
        error_console().print(Text(f"{error.code}{where}: {error.type}: {printable(error.message, 2_000)}", "red"))
    if options.output is None:
        write_bytes(state)
