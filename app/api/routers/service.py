"""The service itself: its first page, its documentation, what its errors mean."""

from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from app.api import problems
from app.api.dependencies import Graphs
from app.api.negotiation import HTML, JSON, accepted, choose
from graphwire.errors import NotFound, quoted

router = APIRouter(tags=["service"])

_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon.png": "image/png"}
_LISTED = 1_000

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }}
code {{ overflow-wrap: anywhere }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


@router.get("/", include_in_schema=False)
async def first_page(graphs: Graphs) -> Response:
    """Show the graphs, and where to go on."""
    page, following = await graphs.list(limit=_LISTED, after=None)
    items = [(each.info.graph_id, each.info.name, each.info.description) for each in page]
    return HTMLResponse(_first_page(items, is_cut=following is not None))


@router.get("/docs", include_in_schema=False)
async def documentation() -> Response:
    """Show the API with Swagger UI, whose files come from here: it works without a network."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Graphwire",
        swagger_js_url="/docs/swagger-ui-bundle.js",
        swagger_css_url="/docs/swagger-ui.css",
        swagger_favicon_url="/docs/favicon.png",
    )


@router.get("/docs/{name}", include_in_schema=False)
async def documentation_asset(name: str) -> Response:
    """Return a file of the documentation page."""
    if name not in _ASSETS:
        raise NotFound("there is nothing at this address")
    return Response(_asset(name), media_type=_ASSETS[name], headers={"Cache-Control": "max-age=86400"})


@router.get(
    "/problems/{code}",
    responses={
        200: {"description": "What the code means.", "content": {JSON: {}, HTML: {}}},
        **problems.responses(404, 406),
    },
)
async def explain_problem(code: str, request: Request) -> Response:
    """Explain an error's code: the `type` of a problem leads here."""
    kind = problems.kinds().get(code)
    if kind is None:
        raise NotFound(f"there is no code {quoted(code)}")
    if choose(accepted(request), (JSON, HTML)) == HTML:
        body = f"<h1>{escape(kind.title)}</h1><p><code>{escape(kind.code)}</code> ({kind.status})</p>"
        text = escape(kind.explanation).replace("\n\n", "</p><p>")
        return HTMLResponse(_PAGE.format(title=escape(kind.title), body=f"{body}<p>{text}</p>"))
    return JSONResponse(
        {
            "type": f"/problems/{kind.code}",
            "code": kind.code,
            "title": kind.title,
            "status": kind.status,
            "explanation": kind.explanation,
        }
    )


@cache
def _asset(name: str) -> bytes:
    return files("fastapi_offline").joinpath("static", name).read_bytes()


def _first_page(graphs: Sequence[tuple[str, str | None, str | None]], *, is_cut: bool) -> str:
    lines = [
        f"<li><a href='/graphs/{escape(graph_id)}'><code>{escape(graph_id)}</code></a>"
        f"{': ' + _shown(name) if name else ''}{'<br>' + _shown(description) if description else ''}</li>"
        for graph_id, name, description in graphs
    ]
    more = "<p><a href='/graphs'>All graphs</a></p>" if is_cut else ""
    listed = f"<ul>{''.join(lines)}</ul>{more}" if lines else "<p>There are no graphs yet.</p>"
    links = "<p><a href='/docs'>Documentation</a> · <a href='/executions'>Executions</a></p>"
    return _PAGE.format(title="Graphwire", body=f"<h1>Graphwire</h1>{links}<h2>Graphs</h2>{listed}")


def _shown(text: str) -> str:
    return escape(problems.printable(text))
