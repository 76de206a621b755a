"""``graphwire executions fork`` and ``retry``: executions that go on from the past of others."""

import asyncio
from typing import Annotated

import typer
from rich.text import Text

from graphwire.cli.printing import complain, printable, tell, write_bytes
from graphwire.cli.run import read_state
from graphwire.cli.servers import WRONG_USE, AsJson, Server, complain_of_server, connected, write_document
from graphwire.cli.steering import ExecutionId
from graphwire.client import ProblemError
from graphwire.client.answers import Forked, Many


def add_forking(app: typer.Typer) -> None:
    """Add the commands to those about executions."""
    app.command("fork")(fork)
    app.command("retry")(retry)


def fork(
    execution: ExecutionId,
    at: Annotated[
        int | None, typer.Option(min=1, metavar="SEQ", help="As of this event; else as of its last commit.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another value; JSON, else text. May be repeated."),
    ] = None,
    state: Annotated[
        str | None, typer.Option(metavar="JSON", help="Other values: an object, @file, or - for standard input.")
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, metavar="NUMBER", help="Of the graph.")] = None,
    entry: Annotated[
        list[str] | None, typer.Option(metavar="NODE", help="Begin anew at this node; may be repeated.")
    ] = None,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Start an execution from a place in the past of another one, and write its id. See checkpoints for places.

    Ends with status 2 when it is refused, and says why.
    """
    values = read_state(state, set_ or []) or None

    async def work() -> Forked:
        async with connected(server) as client:
            return await client.executions.fork(execution, at=at, state=values, version=version, entry=entry)

    _show(execution, asyncio.run(work()), as_json)


def retry(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[EXECUTION…]", help="The ids of executions that failed.")
    ] = None,
    graph: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="All that failed of this graph; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, metavar="NUMBER", help="So many at most (--graph).")] = 100,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Start executions that go on where others failed, and write their ids. What was done is not done again.

    Ends with status 2 when one is refused; the others are started.
    """
    if bool(names) == bool(graph):
        raise typer.BadParameter("name executions, or a graph", param_hint="EXECUTION")
    if graph:
        _retry_all(graph, limit, as_json, server)
        return

    async def work() -> int:
        refusals = 0
        async with connected(server) as client:
            for name in names or ():
                try:
                    _show(name, await client.executions.retry(name), as_json)
                except ProblemError as error:
                    if complain_of_server(error, printable(name)) != WRONG_USE:
                        raise
                    refusals += 1
        return refusals

    if asyncio.run(work()):
        raise typer.Exit(WRONG_USE)


def _retry_all(graph: list[str], limit: int, as_json: bool, server: str | None) -> None:
    async def work() -> Many:
        async with connected(server) as client:
            return await client.executions.retry_many(graph=graph, limit=limit)

    many = asyncio.run(work())
    if as_json:
        write_document(many)
    for each in many.items:
        if each.problem is not None:
            complain(f"{printable(each.id)}: {each.problem.get('detail', 'refused')}")
        elif each.execution is not None and not as_json:
            _say(each.id, each.execution.id)
    if many.more:
        tell(Text(f"More have failed than the {limit:,} that were looked at: call it again.", "yellow"))
    if any(each.problem is not None for each in many.items):
        raise typer.Exit(WRONG_USE)


def _show(origin: str, made: Forked, as_json: bool) -> None:
    if as_json:
        write_document(made)
        return
    _say(origin, made.id)
    for each in made.effects:
        tell(Text(f"{printable(each.node, 64)} runs again, and has effects", "yellow"))


def _say(origin: str, made: str) -> None:
    tell(Text(f"{printable(origin)} goes on as"))
    write_bytes(f"{printable(made)}\n".encode())
