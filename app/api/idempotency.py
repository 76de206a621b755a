"""The header ``Idempotency-Key``: draft-ietf-httpapi-idempotency-key-header, its value taken as it stands."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any, Final

import msgspec
from pydantic import BaseModel
from starlette.requests import Request

from app.api.beside import LARGE_BYTES, Beside
from app.api.errors import InvalidIdempotencyKey, UseLocation
from app.services.idempotency import Idempotency, Turn

MAX_LENGTH = 255
REPEATED: Final[Mapping[str, str]] = {"Idempotent-Replayed": "true"}
"""Of an answer that repeats an earlier one; named as Stripe does, since the draft names none."""
PARAMETER: Final[Mapping[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name of the caller's for this request: repeated with it, the request is carried out once.",
    "schema": {
        "type": "string",
        "maxLength": MAX_LENGTH,
        "pattern": "^[!-~]([ -~]*[!-~])?$",
        "examples": ["8e03978e-40d5-43e8-bc93-6894a57f9324"],  # not one to be filled in: it is used up by one request
    },
}


def read_key(request: Request) -> str | None:
    """Return the key of a request; None without one.

    Raises:
        InvalidIdempotencyKey: There are two, or it is empty, too long, or not printable ASCII.
    """
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1:
        raise InvalidIdempotencyKey("a request has one Idempotency-Key at most")
    return checked_key(keys[0])


def checked_key(key: str) -> str:
    """Return a key as it is.

    Raises:
        InvalidIdempotencyKey: It is empty, too long, or not printable ASCII.
    """
    if not (0 < len(key) <= MAX_LENGTH and key.isascii() and key.isprintable()):
        detail = f"an Idempotency-Key is 1 to {MAX_LENGTH} printable ASCII characters"
        raise InvalidIdempotencyKey(detail, limit=MAX_LENGTH)
    return key


def read_start_key(request: Request) -> str | None:
    """Return the key of a start; None without one. What is refused here needs no body to be read.

    Raises:
        InvalidIdempotencyKey: As ``read_key``.
        UseLocation: As ``refuse_resumption``, where there is no key that might be known.
    """
    key = read_key(request)
    if key is None:
        refuse_resumption(request)
    return key


def refuse_resumption(request: Request) -> None:
    """Refuse to begin what the client has read from already.

    Raises:
        UseLocation: The request has ``Last-Event-ID``.
    """
    if request.headers.get("last-event-id"):
        raise UseLocation("a start with Last-Event-ID would begin a second execution; resume at Location instead")


@asynccontextmanager
async def once(request: Request, key: str | None, body: BaseModel | Any) -> AsyncIterator[Turn]:
    """Wait for a request's turn with its key. See ``Idempotency.once``; without a key nothing is looked up."""
    # As it was given, without defaults: those of the next version of the service may be others.
    value = body.model_dump(exclude_unset=True) if isinstance(body, BaseModel) else body
    target = f"{request.method} {request.scope['path']}"
    state = request.state
    async with once_for(state.idempotency, state.beside, key, target, value, size_of(request)) as turn:
        yield turn


@asynccontextmanager
async def once_for(
    idempotency: Idempotency, beside: Beside, key: str | None, target: str, value: Any, size: int
) -> AsyncIterator[Turn]:
    """Wait for a turn with a key, whatever the transport. See ``Idempotency.once``.

    Args:
        key: None for none: nothing is looked up.
        target: The method and the path of the request as it is over HTTP.
        value: Its body, plain JSON values.
        size: Bytes of the text that the body was read from.
    """
    if key is None:
        yield Turn()
        return
    async with idempotency.once(key, await fingerprint_of(beside, target, value, size)) as turn:
        yield turn


async def fingerprint_of(beside: Beside, target: str, value: Any, size: int) -> bytes:
    """Return what stands for a request in comparisons; the arguments are those of ``once_for``."""
    return await beside.read("json", size, lambda: _digest(target, value))


def _digest(target: str, value: Any) -> bytes:
    digest = sha256(f"{target}\n".encode("utf-8", "surrogatepass"))
    digest.update(msgspec.json.encode(value, order="sorted"))
    return digest.digest()


def size_of(request: Request) -> int:
    """Return how many bytes the body has; of one that did not say, so many that it counts as large."""
    declared = request.headers.get("content-length")
    if declared is not None:
        return int(declared)
    return LARGE_BYTES["json"] + 1 if "transfer-encoding" in request.headers else 0
