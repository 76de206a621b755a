"""Commands that talk to a server: where it is, the key, and how they end when it cannot be reached."""

import contextlib
import json
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import typer

from graphwire.cli.printing import complain, complain_of, write_bytes
from graphwire.client import AsyncClient, ClientError, ConnectionFailed, ProblemError, StreamStatus
from graphwire.errors import InvalidInput

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


def complain_of_server(error: ClientError) -> int:
    """Say what went wrong between this command and a service; return the exit status."""
    match error:
        case ProblemError(errors=(_, *_) as problems):
            complain_of(InvalidInput(error.detail, problems, left_out=_left_out(error)))
        case ProblemError(code="unauthorized"):
            complain(f"{error.detail}; {KEY_VARIABLE} holds the key")
        case ProblemError():
            complain(error.detail)
        case ConnectionFailed(was_open=False):
            complain(f"{error.detail}\nIs it running? --server or {URL_VARIABLE} says where.")
        case _:
            complain(error.detail)
    return WRONG_USE if isinstance(error, ProblemError) and error.status not in _FOR_NOW else UNREACHABLE


def write_document(value: Any) -> None:
    """Write one JSON document to standard output."""
    write_bytes(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False).encode() + b"\n")


def said(status: StreamStatus) -> str | None:
    """Return what people should know of a stream's status; None where it is nothing."""
    if status.name != "reconnecting":
        return None
    why = "" if status.error is None else f"{status.error.detail}; "
    return f"{why}trying again in {status.delay_s or 0:.1f} s (attempt {status.attempt})"


def _left_out(error: ProblemError) -> int:
    count = error.facts.get("errors_left_out", 0)
    return count if isinstance(count, int) else 0
