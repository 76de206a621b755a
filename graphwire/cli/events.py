"""``graphwire events``: what happened in an execution, and what happens."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from graphwire.cli.lines import Lined, read_lined
from graphwire.cli.printing import printable, tell, write_bytes, write_lines
from graphwire.cli.servers import Server, connected, lost, said
from graphwire.client import StreamStatus
from graphwire.client.execution_calls import get_raw_events
from graphwire.events.notices import NoticeEnvelope, decode_notice

_TYPE_WIDTH = 24
_DATA_WIDTH = 100


@dataclass(frozen=True, slots=True)
class _Asked:
    execution: str
    after: int
    types: list[str]
    nodes: list[str]
    as_json: bool


def events(
    execution: Annotated[str, typer.Argument(metavar="EXECUTION", help="The id of an execution.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the execution has ended.")] = False,
    after: Annotated[int, typer.Option(min=0, metavar="SEQ", help="Begin behind the event with this number.")] = 0,
    types: Annotated[str | None, typer.Option(metavar="NAMES", help="Of these types only; with commas.")] = None,
    nodes: Annotated[str | None, typer.Option(metavar="NAMES", help="Of these nodes only; with commas.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write each event as it was sent, a line each.")] = False,
    server: Server = None,
) -> None:
    """Show the events of an execution on a server. Where the connection breaks nothing is lost or comes twice.

    Ends with status 0 however the execution ended, 2 when there is none, 4 when the server cannot be reached, 130 after
    Ctrl-C, which leaves the execution alone.
    """
    asked = _Asked(execution, after, _names(types), _names(nodes), as_json)
    asyncio.run(_follow(asked, server) if follow else _look_back(asked, server))


async def _look_back(asked: _Asked, server: str | None) -> None:
    async with connected(server) as client:
        after, upto = asked.after, None
        while upto is None or after < upto:
            call = get_raw_events(asked.execution, after=after, types=asked.types, nodes=asked.nodes)
            page = await client.performer.perform(call)
            if bytes(page.lagged) != b"null":
                _tell_notice(decode_notice(page.lagged))
            _write([read_lined(bytes(line)) for line in page.events], asked)
            after = page.next
            upto = page.last_seq if upto is None else upto  # what comes meanwhile is for --follow
            if page.ended:
                return


async def _follow(asked: _Asked, server: str | None) -> None:
    async with (
        connected(server) as client,
        client.follow(
            asked.execution,
            after=asked.after,
            types=asked.types,
            nodes=asked.nodes,
            on_status=_tell_status,
            on_notice=_tell_notice,
            decode=read_lined,
        ) as stream,
    ):
        async for batch in stream.batches(1_000, max_wait_s=0.0):
            _write([event for event in batch if isinstance(event, Lined)], asked)


def _write(events: list[Lined], asked: _Asked) -> None:
    if asked.as_json:
        write_lines([event.line for event in events])
    elif events:
        write_bytes("".join(f"{_line(event)}\n" for event in events).encode())


def _line(event: Lined) -> str:
    data = printable(event.data_text(), _DATA_WIDTH)
    node = f"{printable(event.node_id, 64)} " if event.node_id else ""
    return f"{event.mono_ns / 1e9:9.3f}  {event.seq:>5} {printable(event.type):<{_TYPE_WIDTH}} {node}{data}"


def _tell_status(status: StreamStatus) -> None:
    text = said(status)
    if text is not None:
        tell(Text(printable(text, 500), "yellow"))


def _tell_notice(notice: NoticeEnvelope) -> None:
    text = lost(notice)
    if text is not None:
        tell(Text(text, "yellow"))


def _names(text: str | None) -> list[str]:
    return [] if text is None else [part for part in text.split(",") if part]
