"""Graphs: definitions as data."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response

from app.api import pagination, problems
from app.api.bodies import read_value
from app.api.dependencies import Bounds, BoundsDep, Graphs
from app.api.idempotency import PARAMETER as KEY
from app.api.idempotency import REPEATED, once, read_key
from app.api.negotiation import JSON, accepted, accepts, choose
from app.api.schemas import answers
from app.api.schemas.bodies import GRAPH_EXAMPLE, described
from app.services.graphs import FROM_API, GraphView
from app.storage.repositories.idempotency import MadeVersion
from graphwire.graphs.definition import GraphDefinition
from graphwire.graphs.diagram import to_dot, to_mermaid
from graphwire.types import GraphId

router = APIRouter(tags=["graphs"], dependencies=[Depends(accepts(JSON))])
drawings = APIRouter(tags=["graphs"])

MERMAID = "text/vnd.mermaid"
DOT = "text/vnd.graphviz"


async def read_definition(request: Request, bounds: Bounds) -> object:
    """Return a definition as it came. Raises as ``bodies.read_value``."""
    return await read_value(
        request,
        max_bytes=bounds.max_definition_bytes,
        max_depth=bounds.max_json_depth,
        setting="GRAPHWIRE_MAX_DEFINITION_BYTES",
    )


@router.get("/graphs", responses={**answers.describe(answers.Graphs), **problems.responses(400, 406, 422, 503)})
async def list_graphs(
    request: Request, graphs: Graphs, limit: pagination.Limit = 100, after: pagination.After = None
) -> Response:
    """List graphs in the order of their ids."""
    page = await graphs.list(limit=limit, after=after)
    items = [
        answers.GraphSummary(
            id=each.graph_id,
            version=each.version,
            name=each.name,
            description=each.description,
            read_only=each.source != FROM_API,
        )
        for each in page.items
    ]
    return answers.answer(answers.Graphs(items, page.next), headers=pagination.link_header(request, page.next))


@router.post(
    "/graphs",
    status_code=201,
    openapi_extra=described(GraphDefinition, example=GRAPH_EXAMPLE, required=True, parameters=[KEY]),
    responses={**answers.describe(answers.Graph, 201), **problems.responses(400, 406, 409, 413, 415, 422, 503)},
)
async def create_graph(request: Request, bounds: BoundsDep, graphs: Graphs) -> Response:
    """Store a new graph. The body is the definition; code in it is refused."""
    key = read_key(request)
    value = await read_definition(request, bounds)
    async with once(request, key, value) as turn:
        if not turn.is_repeated:
            view = await graphs.create(value, turn.claim)
            turn.made = MadeVersion(view.id, view.version)
    if turn.is_repeated:
        view = await graphs.made(turn.version.graph_id, turn.version.version)
    headers = {"Location": f"/graphs/{view.id}", **(REPEATED if turn.is_repeated else {})}
    return answers.answer(_graph(view), 201, headers)


@router.get("/graphs/{graph_id}", responses={**answers.describe(answers.Graph), **problems.responses(404, 406, 503)})
async def get_graph(graph_id: str, graphs: Graphs) -> Response:
    """Return the newest version of a graph."""
    return answers.answer(_graph(await graphs.get(GraphId(graph_id))))


@router.put(
    "/graphs/{graph_id}",
    openapi_extra=described(GraphDefinition, example=GRAPH_EXAMPLE, required=True),
    responses={
        **answers.describe(answers.Graph),
        **answers.describe(answers.Graph, 201),
        **problems.responses(400, 406, 409, 413, 415, 422, 503),
    },
)
async def replace_graph(graph_id: str, request: Request, bounds: BoundsDep, graphs: Graphs) -> Response:
    """Store a definition as the newest version. Running executions keep theirs."""
    view, is_new = await graphs.replace(GraphId(graph_id), await read_definition(request, bounds))
    return answers.answer(_graph(view), 201 if is_new else 200)


@router.delete("/graphs/{graph_id}", status_code=204, responses=problems.responses(404, 406, 409, 503))
async def delete_graph(graph_id: str, graphs: Graphs) -> Response:
    """Delete a graph. Its executions stay."""
    await graphs.delete(GraphId(graph_id))
    return Response(status_code=204)


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


def _graph(view: GraphView) -> answers.Graph:
    return answers.Graph(
        id=view.id,
        version=view.version,
        definition=Raw(view.definition),
        warnings=answers.findings(view.warnings),
        problems=answers.findings(view.problems),
    )
