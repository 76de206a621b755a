"""Commands that talk to a server: where it is, the key, and how they end when it cannot be reached."""

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import typer

from graphwire.cli.printing import complain, complain_of, json_bytes, write_bytes
from graphwire.client import AsyncClient, ClientError, ConnectionFailed, ProblemError, StreamClosedError, StreamStatus
from graphwire.errors import InvalidInput
from graphwire.events.notices import NoticeEnvelope, StreamLagged

URL_VARIABLE: Final = "GRAPHWIRE_URL"
KEY_VARIABLE: Final = "GRAPHWIRE_API_KEY"
DEFAULT_URL: Final = "http://127.0.0.1:8000"
WRONG_USE: Final = 2
UNREACHABLE: Final = 4

_FOR_NOW: Final = frozenset({429, 500, 502, 503, 504})

Server: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="URL", help=f"Where the service is; else {URL_VARIABLE}, else {DEFAULT_URL}."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="For programs: one JSON document.")]


def address(server: str | None) -> str:
    """Return where the service is."""
    return server or os.environ.get(URL_VARIABLE) or DEFAULT_URL


@contextlib.asynccontextmanager
async def connected(server: str | None) -> AsyncIterator[AsyncClient]:
    """Have a client of the service."""
    key, _, _ = os.environ.get(KEY_VARIABLE, "").partition(",")  # a service may know several: the first is enough
    try:
        client = AsyncClient(address(server), key.strip() or None, request_attempts=2)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--server") from None
    async with client:
        yield client


def complain_of_server(error: ClientError, what: str = "") -> int:
    """Say what went wrong between this command and a service, and with what; return the exit status."""
    detail = f"{what}: {error.detail}" if what else error.detail
    match error:
        case ProblemError(errors=(_, *_) as problems):
            complain_of(InvalidInput(detail, problems, left_out=_left_out(error)))
        case ProblemError(code="unauthorized"):
            complain(f"{detail}; {KEY_VARIABLE} holds the key")
        case ProblemError(facts={"allowed": [*allowed]}):
            may = ", ".join(map(str, allowed))
            complain(f"{detail}\nIt takes: {may}." if may else detail)
        case ProblemError(status=500, request_id=str(request_id)):
            complain(f"{detail}\nIn the log of the service it is the request {request_id}.")
        case ProblemError():
            complain(detail)
        case ConnectionFailed(was_open=False):
            complain(f"{detail}\nIs it running? --server or {URL_VARIABLE} says where.")
        case _:
            complain(detail)
    match error:
        case ProblemError(status=status) if status not in _FOR_NOW:
            return WRONG_USE
        case StreamClosedError():  # what is followed is gone
            return WRONG_USE
        case _:
            return UNREACHABLE


def write_document(value: Any) -> None:
    """Write one JSON document to standard output."""
    write_bytes(json_bytes(msgspec.to_builtins(value)))


def said(status: StreamStatus) -> str | None:
    """Return what people should know of a stream's status; None where it is nothing."""
    if status.name != "reconnecting":
        return None
    why = "" if status.error is None else f"{status.error.detail}; "
    return f"{why}trying again in {status.delay_s or 0:.1f} s (attempt {status.attempt})"


def lost(notice: NoticeEnvelope) -> str | None:
    """Return what people should know of a notice; None where it is nothing."""
    match notice.data:
        case StreamLagged(from_seq=first, to_seq=last, dropped=dropped):
            return f"the events {first:,} to {last:,} are not kept any more ({dropped:,} of them)"
        case _:
            return None


def _left_out(error: ProblemError) -> int:
    count = error.facts.get("errors_left_out", 0)
    return count if isinstance(count, int) else 0
