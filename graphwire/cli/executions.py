"""``graphwire executions``: what ran, what runs, and an end to it."""

import asyncio
import json
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from graphwire.cli.forking import add_forking
from graphwire.cli.printing import print_table, printable, tell
from graphwire.cli.run_view import in_words
from graphwire.cli.servers import WRONG_USE, AsJson, Server, complain_of_server, connected, write_document
from graphwire.cli.steering import add_steering
from graphwire.client import ProblemError
from graphwire.client.answers import Checkpoint, Execution, ExecutionSummary, State

executions = typer.Typer(help="Executions on a server.", no_args_is_help=True)
add_steering(executions)
add_forking(executions)

FAILED = 1
STYLES = {"completed": "green", "failed": "red", "cancelled": "yellow", "paused": "yellow", "queued": "cyan"}


@executions.callback()
def _executions() -> None:
    """Executions on a server."""


@executions.command("list")
def show_list(
    status: Annotated[
        list[str] | None, typer.Option(metavar="STATUS", help="With this status; may be repeated.")
    ] = None,
    graph: Annotated[list[str] | None, typer.Option(metavar="ID", help="Of this graph; may be repeated.")] = None,
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A part of an id, of the reason or of the error.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="So many at most, the newest.")] = 20,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """List executions, the newest first."""

    async def work() -> list[ExecutionSummary]:
        async with connected(server) as client:
            found: list[ExecutionSummary] = []
            chosen = client.executions.iterate(
                status=status or (), graph=graph or (), search=search, limit=min(limit, 1_000)
            )
            async for each in chosen:
                found.append(each)
                if len(found) == limit:
                    break
            return found

    found = asyncio.run(work())
    if as_json:
        write_document({"items": found})
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("id", no_wrap=True, min_width=36)
    table.add_column("graph", overflow="fold")
    for heading in ("status", "started", "took"):
        table.add_column(heading, no_wrap=True)
    for each in found:
        table.add_row(
            printable(each.id, 64),
            printable(each.graph_id, 40),
            Text(printable(each.status, 16), STYLES.get(each.status, "bold")),
            f"{each.started_at.astimezone():%m-%d %H:%M:%S}",
            in_words(each.duration_ms / 1000),
        )
    print_table(table)


@executions.command("show")
def show(
    execution: Annotated[str, typer.Argument(metavar="EXECUTION", help="The id of an execution.")],
    state: Annotated[bool, typer.Option("--state", help="Show its state too.")] = False,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Show all about an execution but its events."""

    async def work() -> tuple[Execution, dict[str, Any] | None]:
        async with connected(server) as client:
            found = await client.executions.get(execution)
            return found, (await client.executions.state(execution)).state if state else None

    found, values = asyncio.run(work())
    if as_json:
        write_document({**msgspec.to_builtins(found), **({} if values is None else {"state": values})})
        return
    origin = found.forked_from
    outcome = f" ({found.outcome})" if found.outcome == "partial" else ""
    version = "" if not found.graph_version else f", version {found.graph_version}"
    rows = [
        ("graph", f"{found.graph_id}{version}"),
        ("status", f"{found.status}{outcome}"),
        ("started", _time(found.started_at)),
        ("ended", "" if found.ended_at is None else _time(found.ended_at)),
        ("took", in_words(found.duration_ms / 1000)),
        ("steps", f"{found.steps:,}"),
        ("events", f"{found.last_seq:,}"),
        ("reason", found.reason or ""),
        ("forked from", "" if origin is None else f"{origin.execution_id} at {origin.seq:,}"),
    ]
    if found.progress is not None and found.ended_at is None:
        rows.append(("progress", f"{found.progress.percent:.0f} %, {', '.join(found.progress.running)}"))
    rows += [
        ("waits for", f"{each.node}: {json.dumps(each.payload, ensure_ascii=False)} ({each.interrupt_id})")
        for each in found.interrupts
    ]
    rows += [("error", f"{each.code}: {each.message}") for each in [found.error, *found.errors] if each is not None]
    table = Table(box=None, pad_edge=False, show_edge=False, show_header=False)
    for name, value in rows:
        if value:
            table.add_row(Text(name, "bold"), Text(printable(value, 1_000)))
    print_table(table)
    if values is not None:
        write_document(values)


@executions.command("cancel")
def cancel(
    names: Annotated[list[str], typer.Argument(metavar="EXECUTION…", help="The ids of executions.")],
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; shown with the execution.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until they have ended.")] = False,
    server: Server = None,
) -> None:
    """Cancel executions. One that is refused keeps none of the others from being cancelled.

    Ends with status 1 when one ended in another way before it could be cancelled (--wait), and 2 when one was refused.
    """

    async def work() -> tuple[int, list[str]]:
        refused: list[str] = []
        async with connected(server) as client:
            for name in names:
                try:
                    await client.executions.cancel(name, reason=reason)
                except ProblemError as error:
                    if complain_of_server(error, printable(name)) != WRONG_USE:
                        raise
                    refused.append(name)
                else:
                    tell(Text(f"{printable(name)} is being cancelled"))
            taken = [name for name in names if wait and name not in refused]
            return len(refused), [(await client.executions.wait(name)).status for name in taken]

    refusals, ended = asyncio.run(work())
    if refusals:
        raise typer.Exit(WRONG_USE)
    if any(status != "cancelled" for status in ended):
        raise typer.Exit(FAILED)


@executions.command("state")
def state(
    execution: Annotated[str, typer.Argument(metavar="EXECUTION", help="The id of an execution.")],
    at: Annotated[int | None, typer.Option(min=1, metavar="SEQ", help="As of this event; else as of now.")] = None,
    server: Server = None,
) -> None:
    """Write the state of an execution to standard output, as JSON: of one that runs, what its branches merge to."""

    async def work() -> State:
        async with connected(server) as client:
            return await client.executions.state(execution, at=at)

    found = asyncio.run(work())
    write_document(found.state)
    for each in found.conflicts:
        between = ", ".join(printable(node, 64) for node in each.nodes)
        tell(Text(f"conflict at {printable(each.key, 64)} ({between}): {printable(each.policy, 64)}", "yellow"))


@executions.command("checkpoints")
def checkpoints(
    execution: Annotated[str, typer.Argument(metavar="EXECUTION", help="The id of an execution.")],
    limit: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="So many at most, the newest.")] = 20,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """List the places in its past that can be looked at or started from again (--at), the newest first."""

    async def work() -> list[Checkpoint]:
        async with connected(server) as client:
            found: list[Checkpoint] = []
            async for each in client.executions.iterate_checkpoints(execution, limit=min(limit, 1_000)):
                found.append(each)
                if len(found) == limit:
                    break
            return found

    found = asyncio.run(work())
    if as_json:
        write_document({"items": found})
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    for heading in ("at", "time", "node", "wrote"):
        table.add_column(heading, no_wrap=heading != "wrote", overflow="fold")
    for each in found:
        wrote = ", ".join(printable(key, 64) for key in each.keys)
        broken = "" if each.valid else "damaged"
        node = printable(each.node or each.type, 64)
        table.add_row(str(each.seq), f"{each.ts.astimezone():%m-%d %H:%M:%S}", node, broken or wrote)
    print_table(table)


def _time(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
