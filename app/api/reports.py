"""Reading what an engine elsewhere reports: one event, a list of them, or a line each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from starlette.requests import Request

from app.api.beside import Beside
from app.api.bodies import format_of, read_bytes
from app.api.schemas.foreign import ReportedEvent
from graphwire.engine.reported import Report
from graphwire.errors import GraphInvalid, InvalidInput, Problem
from graphwire.graphs.documents import Document, read_document
from graphwire.graphs.shape import parse_model

MAX_EVENTS: Final = 1_000
NDJSON: Final = "application/x-ndjson"
_FORMS: Final[Mapping[str, Literal["document", "lines"]]] = {"application/json": "document", NDJSON: "lines"}


async def read_reports(request: Request, *, max_bytes: int, max_depth: int) -> tuple[list[Report], Document | None]:
    """Read reported events, at most ``MAX_EVENTS``, in order.

    Returns:
        The events, and the text that they were read from, for the places of later problems; None of lines.

    Raises:
        BodyTooLarge, UnsupportedMediaType, UnsupportedCompression: As their names say.
        AtCapacity: Too many large bodies are being read.
        InvalidInput: The body is not what it says, or events have not their shape; all problems are listed.
    """
    form = format_of(request, _FORMS)
    data = await read_bytes(request, max_bytes=max_bytes)
    beside: Beside = request.state.beside
    read = _of_lines if form == "lines" else _of_document
    return await beside.read("json", len(data), lambda: read(data, max_depth))


def _of_document(data: bytes, max_depth: int) -> tuple[list[Report], Document | None]:
    document = read_document(data, "json", max_depth=max_depth)
    is_list = isinstance(document.value, list)
    values: Sequence[Any] = document.value if is_list else [document.value]
    try:
        return _reports(values, [f"/{index}" if is_list else "" for index in range(len(values))]), document
    except InvalidInput as error:
        error.problems = document.located(error.problems)
        raise


def _of_lines(data: bytes, max_depth: int) -> tuple[list[Report], Document | None]:
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    if len(lines) > MAX_EVENTS:
        raise _too_many(len(lines))
    values, problems = [], []
    refusal: InvalidInput | None = None
    for index, (number, line) in enumerate(lines):
        try:
            values.append(read_document(line, "json", max_depth=max_depth).value)
        except InvalidInput as error:
            refusal = refusal or error
            found = error.problems or (Problem("", error.code, error.detail),)
            problems += [replace(each, pointer=f"/{index}{each.pointer}", line=number) for each in found]
    if refusal is not None:
        raise type(refusal)(refusal.detail, problems, left_out=0, **refusal.facts)
    return _reports(values, [f"/{index}" for index in range(len(values))]), None


def _reports(values: Sequence[Any], places: Sequence[str]) -> list[Report]:
    if len(values) > MAX_EVENTS:
        raise _too_many(len(values))
    reports: list[Report] = []
    problems: list[Problem] = []
    left_out = 0
    for value, at in zip(values, places, strict=True):
        try:
            reports.append(parse_model(ReportedEvent, value, at=at).report(at))
        except GraphInvalid as error:
            problems += error.problems
            left_out += error.left_out
    if problems:
        first = problems[0]
        raise InvalidInput(f"{first.pointer}: {first.detail}".removeprefix(": "), problems, left_out=left_out)
    return reports


def _too_many(count: int) -> InvalidInput:
    detail = f"a request reports at most {MAX_EVENTS:,} events, not {count:,}; send the others with the next one"
    return InvalidInput(detail, [Problem("", "too_many", detail)], limit=MAX_EVENTS)
