"""What the codes of errors mean, and what to do about them: the ``type`` of a problem leads here."""

import re
from html import escape
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.api import errors, problems, refusals
from app.api.html import page
from app.api.negotiation import HTML, JSON, accepted, choose
from app.api.problems import Kind
from graphwire.errors import NotFound, quoted

router = APIRouter(tags=["problems"])

_EXAMPLE: Final = {
    "type": "/problems/shutting_down",
    "code": "shutting_down",
    "title": "Shutting down",
    "status": 503,
    "explanation": "The process drains and accepts no more.",
    "advice": "Send the same request again after `Retry-After` seconds; nothing of it was carried out.",
}
_TEXT: Final = {"type": "string"}
SCHEMA: Final = {
    "title": "Explanation",
    "description": "What a code means.",
    "type": "object",
    "required": ["type", "code", "title", "status", "explanation", "advice"],
    "properties": {
        "type": _TEXT,
        "code": _TEXT,
        "title": _TEXT,
        "status": {
            "type": ["integer", "null"],
            "description": "Of the answer; null for what happens inside an execution only.",
        },
        "explanation": {**_TEXT, "description": "What it means."},
        "advice": {**_TEXT, "description": "What to do next."},
    },
}
LIST_SCHEMA: Final = {
    "title": "Explanations",
    "description": "All codes.",
    "type": "object",
    "required": ["items"],
    "properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/Explanation"}}},
}


def _content(schema: str, example: Any) -> dict[str, Any]:
    described = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    return {JSON: described, HTML: {"schema": _TEXT, "example": "<!doctype html>"}}


@router.get(
    "/problems",
    summary="List the codes of problems",
    response_class=Response,
    responses={
        200: {
            "description": "All codes, with what they mean.",
            "content": _content("Explanations", {"items": [_EXAMPLE]}),
        },
        **refusals.responses(errors.NotAcceptable),
    },
)
async def list_problems(request: Request) -> Response:
    """List every code that a problem, or an error inside an execution, may have. A browser gets a page."""
    kinds = sorted(problems.kinds().values(), key=lambda kind: (kind.status or 1_000, kind.code))
    if choose(accepted(request), (JSON, HTML)) == HTML:
        return HTMLResponse(_page_of_all(kinds))
    return Response(msgspec.json.encode({"items": [_explained(kind) for kind in kinds]}), media_type=JSON)


@router.get(
    "/problems/{code}",
    summary="Explain a problem",
    response_class=Response,
    responses={
        200: {"description": "What the code means.", "content": _content("Explanation", _EXAMPLE)},
        **refusals.responses(NotFound, errors.NotAcceptable),
    },
)
async def explain_problem(
    code: Annotated[str, Path(description="The `code` of a problem.", examples=["shutting_down"])], request: Request
) -> Response:
    """Explain the code of an error, and say what to do next: the `type` of a problem leads here."""
    kind = problems.kinds().get(code)
    if kind is None:
        raise NotFound(f"there is no code {quoted(code)}")
    if choose(accepted(request), (JSON, HTML)) == HTML:
        return HTMLResponse(_page_of(kind))
    return Response(msgspec.json.encode(_explained(kind)), media_type=JSON)


def _explained(kind: Kind) -> dict[str, Any]:
    return {
        "type": f"/problems/{kind.code}",
        "code": kind.code,
        "title": kind.title,
        "status": kind.status,
        "explanation": kind.explanation,
        "advice": kind.advice,
    }


def _page_of(kind: Kind) -> str:
    where = f"status {kind.status}" if kind.status else "inside an execution"
    body = (
        f"<p><a href='/problems'>All problems</a></p><h1>{escape(kind.title)}</h1>"
        f"<p><code>{escape(kind.code)}</code>, {where}</p>"
        f"{_paragraphs(kind.explanation)}<h2>What to do next</h2>{_paragraphs(kind.advice)}"
    )
    return page(kind.title, body)


def _page_of_all(kinds: list[Kind]) -> str:
    rows = "".join(
        f"<tr><td>{kind.status or ''}</td><td><a href='/problems/{kind.code}'><code>{kind.code}</code></a></td>"
        f"<td>{_marked(' '.join(kind.explanation.split(chr(10) * 2)[0].split()))}</td></tr>"
        for kind in kinds
    )
    body = (
        "<p><a href='/docs'>Documentation</a></p><h1>Problems</h1>"
        "<p>What an error's <code>code</code> means. Those without a status happen inside an execution.</p>"
        f"<table><tr><th>status</th><th>code</th><th>meaning</th></tr>{rows}</table>"
    )
    return page("Problems", body)


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_marked(part)}</p>" for part in text.split("\n\n"))


def _marked(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
