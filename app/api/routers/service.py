"""The service's first page."""

from collections.abc import Sequence
from html import escape

from fastapi import APIRouter, Depends
from starlette.responses import HTMLResponse, Response

from app.api import errors, problems, refusals
from app.api.dependencies import Governing, Graphs
from app.api.html import page
from app.api.negotiation import JSON, accepts
from app.api.schemas import answers

router = APIRouter(tags=["service"])

_LISTED = 1_000
_LINKS = {"/docs": "Documentation", "/docs/websocket": "WebSocket", "/executions": "Executions"}


@router.get("/", include_in_schema=False)
async def first_page(graphs: Graphs) -> Response:
    """Show the graphs, and where to go on."""
    listed, following = await graphs.list(limit=_LISTED, after=None)
    items = [(each.info.graph_id, each.info.name, each.info.description) for each in listed]
    return HTMLResponse(_first_page(items, is_cut=following is not None))


@router.get(
    "/governance",
    summary="Look at what governs the nodes",
    dependencies=[Depends(accepts(JSON))],
    responses={**answers.describe(answers.Governance), **refusals.responses(errors.NotAcceptable)},
)
async def get_governance(governing: Governing) -> Response:
    """Return how fast nodes begin now, and how many wait for leave; only `is_on` where nothing is governed."""
    if governing is None:
        return answers.answer(answers.Governance(is_on=False))
    status = governing.status()
    shown = {**status._asdict(), "waiting": {str(name): count for name, count in status.waiting.items()}}
    return answers.answer(answers.Governance(is_on=True, **shown))


def _first_page(graphs: Sequence[tuple[str, str | None, str | None]], *, is_cut: bool) -> str:
    lines = [
        f"<li><a href='/graphs/{escape(graph_id)}'><code>{escape(graph_id)}</code></a>"
        f"{': ' + _shown(name) if name else ''}{'<br>' + _shown(description) if description else ''}</li>"
        for graph_id, name, description in graphs
    ]
    more = "<p><a href='/graphs'>All graphs</a></p>" if is_cut else ""
    listed = f"<ul>{''.join(lines)}</ul>{more}" if lines else "<p>There are no graphs yet.</p>"
    links = " · ".join(f"<a href='{address}'>{name}</a>" for address, name in _LINKS.items())
    return page("Graphwire", f"<h1>Graphwire</h1><p>{links}</p><h2>Graphs</h2>{listed}")


def _shown(text: str) -> str:
    return escape(problems.printable(text))
