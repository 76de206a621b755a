"""``graphwire executions pause`` and the like: how an execution on a server is steered."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, TypeAlias

import typer
from rich.text import Text

from graphwire.cli.printing import printable, tell
from graphwire.cli.run import read_state, read_value
from graphwire.cli.servers import AsJson, Server, connected, write_document
from graphwire.client import AsyncClient
from graphwire.client.answers import Applied, Breakpoint, BreakpointSet
from graphwire.errors import InvalidInput

ExecutionId: TypeAlias = Annotated[str, typer.Argument(metavar="EXECUTION", help="The id of an execution.")]


def add_steering(app: typer.Typer) -> None:
    """Add the commands to those about executions."""
    for command in (pause, resume, step, input_, breakpoints, edit):
        app.command(command.__name__.rstrip("_"))(command)


def pause(execution: ExecutionId, as_json: AsJson = False, server: Server = None) -> None:
    """Have nothing more begin. What runs goes on to its end, and then the execution is paused.

    Ends with status 2 when it is refused, and says what would not be.
    """
    _carry_out(execution, "is being paused", lambda client: client.executions.pause(execution), as_json, server)


def resume(execution: ExecutionId, as_json: AsJson = False, server: Server = None) -> None:
    """Go on after a pause. One that waits for input only goes on with an answer instead: see input.

    Ends with status 2 when it is refused, and says what would not be.
    """
    _carry_out(execution, "goes on", lambda client: client.executions.resume(execution), as_json, server)


def step(
    execution: ExecutionId,
    mode: Annotated[
        Literal["over", "into", "out"],
        typer.Option(metavar="MODE", help="over: a node with all in it; into: to what it opens; out: to its end."),
    ] = "over",
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Let the next node of a paused execution run, and pause again.

    Ends with status 2 when it is refused, and says what would not be.
    """
    _carry_out(execution, "makes a step", lambda client: client.executions.step(execution, mode=mode), as_json, server)


def input_(
    execution: ExecutionId,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="JSON, else text; @file, or - for standard input.")],
    interrupt: Annotated[str | None, typer.Option(metavar="ID", help="Which question, where several are open.")] = None,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Answer what a node waits to be told. show names what is open.

    Ends with status 2 when the answer is refused, and says why.
    """
    answer = read_value(value)

    async def ask(client: AsyncClient) -> Applied:
        name = interrupt or await _only_interrupt(client, execution)
        return await client.executions.input(execution, name, answer)

    _carry_out(execution, "was answered", ask, as_json, server)


def breakpoints(
    execution: ExecutionId,
    nodes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NODE…]", help="Before these nodes; NODE:after is after it. They replace all others."),
    ] = None,
    condition: Annotated[
        str | None, typer.Option("--if", metavar="EXPRESSION", help="Only while this is true of the state.")
    ] = None,
    hits: Annotated[int | None, typer.Option(min=1, metavar="NUMBER", help="From so many times on.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Have none any more.")] = False,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Say before or after which nodes an execution pauses by itself; without nodes, show where.

    Ends with status 2 when it is refused, and says what would not be.
    """
    if clear and nodes:
        raise typer.BadParameter("name nodes, or none to be left", param_hint="--clear")
    if not nodes and not clear:
        _show_breakpoints(execution, as_json, server)
        return
    wanted = [_breakpoint(each, condition, hits) for each in nodes or ()]
    said = "has no breakpoints" if clear else f"pauses at {len(wanted):,} place{'' if len(wanted) == 1 else 's'}"
    _carry_out(execution, said, lambda client: client.executions.set_breakpoints(execution, wanted), as_json, server)


def edit(
    execution: ExecutionId,
    assignments: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE…]", help="Values to set; JSON, else text.")
    ] = None,
    patch: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="A JSON Merge Patch: null removes a key; @file, or - for standard input."),
    ] = None,
    delete: Annotated[list[str] | None, typer.Option(metavar="KEY", help="A key to remove; may be repeated.")] = None,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Change the state of a paused execution, for all that is still to run.

    Ends with status 2 when it is refused, and says what would not be.
    """
    changes = {**read_state(patch, assignments or []), **dict.fromkeys(delete or ())}
    if not changes:
        raise typer.BadParameter("say what changes: KEY=VALUE, --patch or --delete", param_hint="KEY=VALUE")
    _carry_out(
        execution,
        f"has other values: {', '.join(printable(key, 64) for key in changes)}",
        lambda client: client.executions.edit_state(execution, changes),
        as_json,
        server,
    )


def _carry_out(
    execution: str, said: str, command: Callable[[AsyncClient], Awaitable[Applied]], as_json: bool, server: str | None
) -> None:
    async def work() -> Applied:
        async with connected(server) as client:
            return await command(client)

    applied = asyncio.run(work())
    if as_json:
        write_document({"id": execution, "applied_seq": applied.applied_seq})
    else:
        tell(Text(f"{printable(execution)} {said} (event {applied.applied_seq:,})"))


async def _only_interrupt(client: AsyncClient, execution: str) -> str:
    found = (await client.executions.get(execution)).interrupts
    if len(found) == 1:
        return found[0].interrupt_id
    if not found:
        raise InvalidInput("the execution waits for no answer")
    names = "\n".join(f"  --interrupt {each.interrupt_id}   ({each.node})" for each in found)
    raise InvalidInput(f"several questions are open; say which one:\n{names}")


def _show_breakpoints(execution: str, as_json: bool, server: str | None) -> None:
    async def work() -> list[BreakpointSet]:
        async with connected(server) as client:
            return (await client.executions.get(execution)).breakpoints

    found = asyncio.run(work())
    if as_json:
        write_document({"breakpoints": found})
        return
    for each in found:
        condition = "" if each.condition is None else f" if {each.condition}"
        hits = "" if each.hits is None else f" from {each.hits:,} times on"
        tell(Text(printable(f"{each.when} {each.node}{condition}{hits}; hit {each.counted:,} times", 500)))
    if not found:
        tell(Text("It has no breakpoints."))


def _breakpoint(text: str, condition: str | None, hits: int | None) -> Breakpoint:
    node, _, when = text.partition(":")
    if when not in ("", "before", "after"):
        raise typer.BadParameter(f"write NODE or NODE:after, not {printable(text, 64)}", param_hint="NODE")
    return Breakpoint(node, "after" if when == "after" else "before", condition, hits)
