"""Reading request bodies: size before type, type before text, text before meaning."""

import asyncio
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request

from app.api.errors import UnsupportedCompression, UnsupportedMediaType
from app.api.middleware import too_large
from graphwire.errors import GraphInvalid, InvalidInput
from graphwire.graphs.shape import parse_model
from graphwire.json_text import read_json

Model = TypeVar("Model", bound=BaseModel)

JSON = "application/json"
LARGE_BYTES = 100_000
"""What is larger is not parsed on the event loop."""


async def read_bytes(request: Request, *, max_bytes: int, setting: str = "GRAPHWIRE_MAX_BODY_BYTES") -> bytes:
    """Read a body to its end.

    Raises:
        BodyTooLarge: It has more than ``max_bytes``; nothing more of it is read.
    """
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > max_bytes:
        raise too_large(max_bytes, setting)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise too_large(max_bytes, setting)
        parts.append(part)
    return b"".join(parts)


def require_json(request: Request) -> None:
    """Check that a body says that it is JSON in UTF-8, not compressed.

    Raises:
        UnsupportedMediaType, UnsupportedCompression: It does not.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedCompression("bodies are taken as they are, without compression")
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    named = [part.strip().lower().replace('"', "") for part in parameters.split(";") if part.strip()]
    charsets = [part for part in named if part.startswith("charset=")]
    if media_type.strip().lower() != JSON or any(charset != "charset=utf-8" for charset in charsets):
        raise UnsupportedMediaType(f"the body must be {JSON} in UTF-8", allowed=[JSON])


async def read_value(
    request: Request, *, max_bytes: int, max_depth: int, setting: str = "GRAPHWIRE_MAX_BODY_BYTES"
) -> Any:
    """Read a body that must be there, as one JSON value.

    Raises:
        BodyTooLarge, UnsupportedMediaType, UnsupportedCompression: As their names say.
        InvalidInput: It is not JSON, or not within the limits.
    """
    require_json(request)
    return await _read_json(await read_bytes(request, max_bytes=max_bytes, setting=setting), max_depth)


async def read_model(request: Request, model: type[Model], *, max_bytes: int, max_depth: int) -> Model:
    """Read a body that may be empty, which stands for ``{}``.

    Raises:
        BodyTooLarge, UnsupportedMediaType, UnsupportedCompression: As their names say.
        InvalidInput: It is not JSON, or does not fit the model; all problems are listed.
    """
    data = await read_bytes(request, max_bytes=max_bytes)
    if not data:
        return model()
    require_json(request)
    try:
        return parse_model(model, await _read_json(data, max_depth))
    except GraphInvalid as error:
        raise InvalidInput(error.detail, error.problems, left_out=error.left_out) from None


async def _read_json(data: bytes, max_depth: int) -> Any:
    if len(data) <= LARGE_BYTES:
        return read_json(data, max_depth=max_depth)
    return await asyncio.to_thread(read_json, data, max_depth=max_depth)
