"""Graphs: definitions as data."""

import asyncio
import re
from collections.abc import Container, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from app.api import pagination, problems
from app.api.bodies import located, reading_definition
from app.api.dependencies import Bounds, BoundsDep, Graphs
from app.api.documents import DocumentRoute
from app.api.idempotency import PARAMETER as KEY
from app.api.idempotency import REPEATED, once, read_key
from app.api.negotiation import JSON, YAML, accepted, accepts, choose
from app.api.preconditions import Expected, Known, etag
from app.api.schemas import answers
from app.api.schemas import graphs as shapes
from app.api.schemas.bodies import GRAPH_EXAMPLE, described
from app.services.graphs import GraphView
from app.storage.repositories.idempotency import MadeVersion
from graphwire.errors import NotFound, quoted
from graphwire.graphs.definition import GraphDefinition
from graphwire.graphs.diagram import to_dot, to_mermaid
from graphwire.graphs.documents import Document
from graphwire.types import GraphId

router = APIRouter(tags=["graphs"], route_class=DocumentRoute, dependencies=[Depends(accepts(JSON, YAML))])
drawings = APIRouter(tags=["graphs"])

MERMAID = "text/vnd.mermaid"
DOT = "text/vnd.graphviz"
_UNCHANGED: Mapping[int | str, Any] = {304: {"description": "It is the version that `If-None-Match` names."}}


def read_definition(request: Request, bounds: Bounds) -> AbstractAsyncContextManager[Document]:
    """Read a definition, and place what is refused in it. Raises as ``bodies.reading_definition``."""
    return reading_definition(request, max_bytes=bounds.max_definition_bytes, max_depth=bounds.max_json_depth)


Version = Annotated[
    str, Path(description="The number of a version."), WithJsonSchema({"type": "integer", "minimum": 1})
]
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@router.get("/graphs", responses={**answers.describe(answers.Graphs), **problems.responses(400, 406, 422, 503)})
async def list_graphs(
    request: Request,
    graphs: Graphs,
    q: Annotated[
        str | None, Query(max_length=200, description="A part of the id, the name or the description, in any case.")
    ] = None,
    limit: pagination.Limit = 100,
    after: pagination.After = None,
) -> Response:
    """List graphs in the order of their ids."""
    items, following = await graphs.list(limit=limit, after=after, q=q)
    page = answers.Graphs([shapes.listed(each) for each in items], following)
    return answers.answer(page, headers=pagination.link_header(request, following))


@router.post(
    "/graphs",
    status_code=201,
    openapi_extra=described(
        GraphDefinition, example=GRAPH_EXAMPLE, required=True, media_types=(JSON, YAML), parameters=[KEY]
    ),
    responses={**answers.describe(answers.Graph, 201), **problems.responses(400, 406, 409, 413, 415, 422, 503)},
)
async def create_graph(request: Request, bounds: BoundsDep, graphs: Graphs) -> Response:
    """Store a new graph. The body is the definition; code in it is refused."""
    key = read_key(request)
    async with read_definition(request, bounds) as document, once(request, key, document.value) as turn:
        if not turn.is_repeated:
            view = await graphs.create(document.value, turn.claim)
            turn.made = MadeVersion(view.id, view.version)
    if turn.is_repeated:
        view = await graphs.made(turn.version.graph_id, turn.version.version)
    headers = {"Location": f"/graphs/{view.id}", **(REPEATED if turn.is_repeated else {})}
    return _answer(view, 201, headers)


@router.post(
    "/graphs/validate",
    openapi_extra=described(GraphDefinition, example=GRAPH_EXAMPLE, required=True, media_types=(JSON, YAML)),
    responses={**answers.describe(answers.Validation), **problems.responses(400, 406, 413, 415, 422)},
)
async def validate_graph(request: Request, bounds: BoundsDep, graphs: Graphs) -> Response:
    """Say what is wrong or odd about a definition, and store nothing.

    A definition with problems is no error here: the answer is 200 and lists them. Only a text that cannot be read is.
    """
    async with read_definition(request, bounds) as document:
        judged = await graphs.judge(document.value)
    wrong = await located(document, judged.findings.problems)
    odd = await located(document, judged.findings.warnings)
    return answers.answer(shapes.validation(judged, wrong, odd))


@router.get(
    "/graphs/{graph_id}",
    responses={**answers.describe(answers.Graph), **_UNCHANGED, **problems.responses(404, 406, 503)},
)
async def get_graph(graph_id: str, graphs: Graphs, known: Known) -> Response:
    """Return the newest version of a graph. Its `ETag` is what `If-Match` of a change takes."""
    return _shown(await graphs.get(GraphId(graph_id)), known)


@router.put(
    "/graphs/{graph_id}",
    openapi_extra=described(GraphDefinition, example=GRAPH_EXAMPLE, required=True, media_types=(JSON, YAML)),
    responses={
        **answers.describe(answers.Graph),
        **answers.describe(answers.Graph, 201),
        **problems.responses(400, 406, 409, 412, 413, 415, 422, 428, 503),
    },
)
async def replace_graph(
    graph_id: str, request: Request, bounds: BoundsDep, graphs: Graphs, expected: Expected
) -> Response:
    """Store a definition as the newest version. Running executions keep theirs.

    A graph that exists is changed with `If-Match` only: 412 where it was changed meanwhile.
    """
    async with read_definition(request, bounds) as document:
        view, is_new = await graphs.replace(GraphId(graph_id), document.value, expected=expected)
    return _answer(view, 201 if is_new else 200)


@router.delete("/graphs/{graph_id}", status_code=204, responses=problems.responses(400, 404, 406, 409, 412, 422, 503))
async def delete_graph(
    graph_id: str,
    graphs: Graphs,
    expected: Expected,
    force: Annotated[bool, Query(description="Cancel its executions first, and wait until they have ended.")] = False,
) -> Response:
    """Delete a graph with its versions. Its executions stay, and their streams end as they do."""
    await graphs.delete(GraphId(graph_id), expected=expected, is_forced=force)
    return Response(status_code=204)


@router.get(
    "/graphs/{graph_id}/versions",
    responses={**answers.describe(answers.Versions), **problems.responses(400, 404, 406, 422, 503)},
)
async def list_versions(
    graph_id: str, request: Request, graphs: Graphs, limit: pagination.Limit = 100, after: pagination.After = None
) -> Response:
    """List the versions of a graph, newest first."""
    page = await graphs.versions(GraphId(graph_id), limit=limit, after=after)
    items = answers.Versions([shapes.version(each) for each in page.items], page.next)
    return answers.answer(items, headers=pagination.link_header(request, page.next))


@router.get(
    "/graphs/{graph_id}/versions/{version}",
    responses={**answers.describe(answers.Graph), **_UNCHANGED, **problems.responses(404, 406, 503)},
)
async def get_version(graph_id: str, version: Version, graphs: Graphs, known: Known) -> Response:
    """Return a version of a graph. A version never changes."""
    return _shown(await graphs.version(GraphId(graph_id), _number(version)), known)


@router.get(
    "/graphs/{graph_id}/versions/{before}/diff/{after}",
    responses={**answers.describe(answers.Difference), **problems.responses(404, 406, 503)},
)
async def compare_versions(graph_id: str, before: Version, after: Version, graphs: Graphs) -> Response:
    """Return what one version has that another has not, by the ids of nodes and edges."""
    numbers = _number(before), _number(after)
    found = await graphs.compare(GraphId(graph_id), *numbers)
    return answers.answer(shapes.compared(GraphId(graph_id), numbers, found))


@router.get("/node-types", responses={**answers.describe(answers.NodeTypes), **problems.responses(406)})
async def list_node_types(graphs: Graphs) -> Response:
    """List the node types that a definition may name, each with the JSON Schema of its config."""
    return answers.answer(answers.NodeTypes(list(graphs.node_types())))


@drawings.get(
    "/graphs/{graph_id}/diagram",
    responses={
        200: {"description": "The diagram as text.", "content": {MERMAID: {}, DOT: {}}},
        **problems.responses(404, 406, 422, 503),
    },
)
async def draw_graph(
    graph_id: str,
    request: Request,
    graphs: Graphs,
    format: Annotated[Literal["mermaid", "dot"], Query(description="The language of the diagram.")] = "mermaid",
) -> Response:
    """Return a diagram of the newest version as text."""
    media_type = MERMAID if format == "mermaid" else DOT
    choose(accepted(request), (media_type, "text/plain"))
    definition = await graphs.definition(GraphId(graph_id))
    text = await asyncio.to_thread(to_mermaid if format == "mermaid" else to_dot, definition)
    return Response(text, headers={"Content-Type": f"{media_type}; charset=utf-8"})


def _number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise NotFound(f"there is no version {quoted(text)}")
    return int(text)


def _shown(view: GraphView, known: Container[int]) -> Response:
    """Answer with a version, or that it is the one that the caller has. What is wrong with it is told every time."""
    if view.version in known and not view.problems:
        return Response(status_code=304, headers={"ETag": etag(view.version), "Cache-Control": "no-cache"})
    return _answer(view, 200)


def _answer(view: GraphView, status: int, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    # Problems come and go with the version staying the same, so nobody keeps an answer that has some.
    caching = "no-store" if view.problems else "no-cache"
    return answers.answer(shapes.graph(view), status, {"ETag": etag(view.version), "Cache-Control": caching, **headers})
