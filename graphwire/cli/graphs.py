"""``graphwire graphs``: between files here and graphs on a server."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.table import Table
from rich.text import Text

from graphwire.cli.graph_changes import Compared
from graphwire.cli.graph_sources import Source, read_sources, show_refusal, show_warnings
from graphwire.cli.printing import (
    NotWritten,
    error_console,
    json_bytes,
    output_console,
    print_table,
    printable,
    tell,
    write_bytes,
)
from graphwire.cli.servers import AsJson, Server, connected, write_document
from graphwire.cli.validate import show_problems
from graphwire.client import AsyncClient, ProblemError
from graphwire.client.answers import GraphSummary, GraphVersion
from graphwire.errors import NotFound, quoted
from graphwire.graphs.difference import difference
from graphwire.graphs.documents import SUFFIXES
from graphwire.graphs.yaml_writing import write_yaml

graphs = typer.Typer(help="Graphs on a server.", no_args_is_help=True)

DIFFERENT: Final = 1
WRONG_USE: Final = 2

GraphFiles = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Files with graphs: .py, .json, .yaml.")]


@graphs.callback()
def _graphs() -> None:
    """Graphs on a server."""


@graphs.command("list")
def show_list(
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A part of the id, the name or the description.")
    ] = None,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """List graphs."""

    async def work() -> list[GraphSummary]:
        async with connected(server) as client:
            return [each async for each in client.graphs.iterate(search=search, limit=1_000)]

    found = asyncio.run(work())
    if as_json:
        write_document({"items": found})
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    for heading in ("id", "version", "from", "changed", "name"):
        table.add_column(heading, no_wrap=heading != "name", overflow="fold")
    for each in found:
        broken = Text("cannot run", "red") if each.valid is False else Text("")
        name = Text.assemble(printable(each.name or "", 80), "  " if broken else "", broken)
        changed = f"{each.updated_at.astimezone():%Y-%m-%d %H:%M:%S}"
        table.add_row(printable(each.id, 64), str(each.version), printable(each.source, 16), changed, name)
    print_table(table)


@graphs.command("push")
def push(
    paths: GraphFiles,
    if_version: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Only where this is the newest version.")
    ] = None,
    server: Server = None,
) -> None:
    """Store graphs from files as their newest versions. One that has not changed makes no version.

    Ends with status 2 when one is refused, with its problems; those before it are stored.
    """
    sources = [source for path in paths for source in read_sources(path)]

    async def work() -> None:
        async with connected(server) as client:
            for source in sources:
                await _push(client, source, if_version)

    asyncio.run(work())


@graphs.command("pull")
def pull(
    graph: Annotated[str, typer.Argument(metavar="ID", help="The id of a graph.")],
    version: Annotated[int | None, typer.Option(min=1, metavar="NUMBER", help="Not the newest, but this one.")] = None,
    format: Annotated[
        Literal["yaml", "json"] | None, typer.Option(metavar="FORMAT", help="yaml or json; else as --output ends.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to this file.")
    ] = None,
    server: Server = None,
) -> None:
    """Write a graph's definition to standard output, as YAML unless something else is wanted."""

    async def work() -> GraphVersion:
        async with connected(server) as client:
            return await client.graphs.get(graph, version=version)

    definition = asyncio.run(work()).definition
    chosen = format or SUFFIXES.get("" if output is None else output.suffix, "yaml")
    text = write_yaml(definition) if chosen == "yaml" else json_bytes(definition)
    if output is None:
        write_bytes(text)
        return
    try:
        output.write_bytes(text)
    except OSError as error:
        raise NotWritten(f"{output}: {error.strerror}", status=WRONG_USE) from None


@graphs.command("diff")
def diff(
    graph: Annotated[str, typer.Argument(metavar="ID|FILE", help="The id of a graph, or a file with graphs.")],
    before: Annotated[int | None, typer.Argument(metavar="[BEFORE", min=1, help="A version.")] = None,
    after: Annotated[int | None, typer.Argument(metavar="[AFTER]]", min=1, help="A later one.")] = None,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Show what a file would change on the server, or how two versions of a graph differ.

    Of a graph's versions the newest is compared with the one before it, or with BEFORE, or AFTER with BEFORE.
    Ends with status 0 when nothing differs, and 1 when something does.
    """

    async def work() -> list[Compared]:
        async with connected(server) as client:
            if Path(graph).suffix in (".py", *SUFFIXES):
                return [await _compare_file(client, source) for source in read_sources(Path(graph))]
            return [await _compare_versions(client, graph, before, after)]

    found = asyncio.run(work())
    if as_json:
        write_document({"graphs": [each.described() for each in found]})
    else:
        for each in found:
            output_console().print(each.shown())
    if any(each.difference for each in found):
        raise typer.Exit(DIFFERENT)


async def _push(client: AsyncClient, source: Source, if_version: int | None) -> None:
    newest: int | None = if_version
    if if_version is None:
        try:
            newest = (await client.graphs.get(source.id)).version
        except ProblemError as error:
            if error.code != "not_found":
                raise
    try:
        stored = await client.graphs.put(source.id, source.content, if_version=newest)
    except ProblemError as error:
        show_refusal(source, error)
        raise typer.Exit(WRONG_USE) from None
    change = "created" if newest is None else "unchanged" if stored.version == newest else "changed"
    tell(Text.assemble((printable(source.id), "bold"), f": version {stored.version}, {change}"))
    show_warnings(source, stored.warnings)


async def _compare_file(client: AsyncClient, source: Source) -> Compared:
    judged = await client.graphs.validate(source.content)
    if judged.definition is None:
        show_problems(replace(source.file, problems=tuple(judged.problems)), error_console())
        raise typer.Exit(WRONG_USE)
    try:
        stored = await client.graphs.get(source.id)
    except ProblemError as error:
        if error.code != "not_found":
            raise
        return Compared(source.id, None, None, difference({}, judged.definition))
    return Compared(source.id, stored.version, None, difference(stored.definition, judged.definition))


async def _compare_versions(client: AsyncClient, graph: str, before: int | None, after: int | None) -> Compared:
    if after is None:
        after = (await client.graphs.get(graph)).version
    if before is None:
        earlier = [each.version async for each in client.graphs.iterate_versions(graph) if each.version < after]
        if not earlier:
            raise NotFound(f"{quoted(graph)} has no version before {after}")
        before = earlier[0]
    old, new = [(await client.graphs.get(graph, version=each)).definition for each in (before, after)]
    return Compared(graph, before, after, difference(old, new))
