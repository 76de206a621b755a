"""Reading request bodies: size before type, type before text, text before meaning."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, TypeVar

from pydantic import BaseModel
from starlette.requests import Request

from app.api.beside import Beside
from app.api.errors import UnsupportedCompression, UnsupportedMediaType
from app.api.middleware import too_large
from graphwire.errors import GraphInvalid, InvalidInput, Problem
from graphwire.graphs.documents import MEDIA_TYPES, Document, Format, read_document
from graphwire.graphs.shape import parse_model
from graphwire.json_text import pointer

Model = TypeVar("Model", bound=BaseModel)
Form = TypeVar("Form", bound=str)

_JSON_ONLY: Final[Mapping[str, Format]] = {"application/json": "json"}
_EMPTY: Final = Document({}, "json", b"", {})


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


def format_of(request: Request, media_types: Mapping[str, Form]) -> Form:
    """Return the format that a body says that it has; it must be UTF-8 and not compressed. Nothing is guessed.

    Raises:
        UnsupportedMediaType, UnsupportedCompression: It says something else, or nothing.
    """
    codings = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
    if any(coding.strip() not in ("", "identity") for coding in codings):
        raise UnsupportedCompression("bodies are taken as they are, without compression")
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    named = [part.strip().lower().replace('"', "") for part in parameters.split(";") if part.strip()]
    charsets = [part for part in named if part.startswith("charset=")]
    format = media_types.get(media_type.strip().lower())
    if format is None or any(charset != "charset=utf-8" for charset in charsets):
        first: dict[Form, str] = {}
        for name, named_format in media_types.items():
            first.setdefault(named_format, name)
        allowed = list(first.values())
        raise UnsupportedMediaType(f"the body must be {' or '.join(allowed)} in UTF-8", allowed=allowed)
    return format


@asynccontextmanager
async def reading_definition(request: Request, *, max_bytes: int, max_depth: int) -> AsyncIterator[Document]:
    """Read a definition that must be there, as JSON or YAML; what is refused inside the block is told with its place.

    Raises:
        BodyTooLarge, UnsupportedMediaType, UnsupportedCompression: As their names say.
        AtCapacity: Too many large bodies are being read.
        InvalidInput: It is not what it says, or not within the limits; or what the block raised.
    """
    format = format_of(request, MEDIA_TYPES)
    data = await read_bytes(request, max_bytes=max_bytes, setting="GRAPHWIRE_MAX_DEFINITION_BYTES")
    document = await _read(request, data, format, max_depth)
    try:
        yield document
    except InvalidInput as error:
        error.problems = await located(request, document, error.problems)
        raise


async def located(request: Request, document: Document, problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return problems or warnings with the places to which their pointers lead.

    Raises:
        AtCapacity: Too many large bodies are being read.
    """
    if not problems:
        return ()
    beside: Beside = request.state.beside
    return await beside.read(document.format, len(document.data), lambda: document.located(problems))


async def read_model(request: Request, model: type[Model], *, max_bytes: int, max_depth: int) -> Model:
    """Read a body that may be empty, which stands for ``{}``.

    Raises:
        BodyTooLarge, UnsupportedMediaType, UnsupportedCompression: As their names say.
        AtCapacity: Too many large bodies are being read.
        InvalidInput: It is not JSON, or does not fit the model; all problems are listed.
    """
    return (await read_model_and_text(request, model, max_bytes=max_bytes, max_depth=max_depth))[0]


async def read_model_and_text(
    request: Request, model: type[Model], *, max_bytes: int, max_depth: int
) -> tuple[Model, Document]:
    """Do as ``read_model``; also return the text, for what is found wrong later. That of an empty body is empty."""
    data = await read_bytes(request, max_bytes=max_bytes)
    document = _EMPTY if not data else await _read(request, data, format_of(request, _JSON_ONLY), max_depth)
    try:
        return parse_model(model, document.value), document
    except GraphInvalid as error:
        problems = await located(request, document, error.problems)
        raise InvalidInput(error.detail, problems, left_out=error.left_out) from None


async def read_member(
    request: Request,
    model: type[Model],
    member: str | None,
    *,
    max_bytes: int,
    max_depth: int,
    media_types: Sequence[str],
) -> tuple[Model, Document]:
    """Do as ``read_model_and_text`` for a body that is one member of a model; the pointers of problems are the body's.

    Args:
        member: None where the body is the whole model.
    """
    data = await read_bytes(request, max_bytes=max_bytes)
    formats: Mapping[str, Format] = dict.fromkeys(media_types, "json")
    document = _EMPTY if not data else await _read(request, data, format_of(request, formats), max_depth)
    value = document.value if member is None else {member: document.value}
    try:
        return parse_model(model, value), document
    except GraphInvalid as error:
        prefix = "" if member is None else pointer(member)
        own = [replace(each, pointer=each.pointer.removeprefix(prefix)) for each in error.problems]
        detail = error.detail.removeprefix(prefix)
        problems = await located(request, document, own)
        raise InvalidInput(detail, problems, left_out=error.left_out) from None


async def _read(request: Request, data: bytes, format: Format, max_depth: int) -> Document:
    beside: Beside = request.state.beside
    return await beside.read(format, len(data), lambda: read_document(data, format, max_depth=max_depth))
