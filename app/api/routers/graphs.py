"""Graphs: definitions as data."""

import re
from collections.abc import Container, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api import errors, pagination, refusals
from app.api.beside import Beside
from app.api.bodies import located, reading_definition
from app.api.dependencies import Bounds, BoundsDep, Graphs
from app.api.documents import DocumentRoute
from app.api.idempotency import PARAMETER as KEY, REPEATED, once, read_key
from app.api.negotiation import JSON, YAML, accepted, accepts, choose
from app.api.parameters import GraphName, LaterVersion, OwnGraphName, Version
from app.api.preconditions import Expected, Known, etag
from app.api.schemas import answers, graphs as shapes
from app.api.schemas.bodies import described
from app.api.schemas.examples import (
    CHANGED_GRAPHS,
    DOT as DOT_EXAMPLE,
    GRAPHS,
    JUDGED_GRAPHS,
    MERMAID as MERMAID_EXAMPLE,
)
from app.api.schemas.headers import described as described_headers
from app.services.errors import GraphExists, GraphReadOnly, PreconditionRequired
from app.services.graph_views import GraphView
from app.storage.errors import RevisionConflict
from app.storage.repositories.idempotency import MadeVersion
from graphwire.errors import AtCapacity, GraphInUse, InvalidCursor, InvalidInput, NotFound, StorageUnavailable, quoted
from graphwire.graphs.definition import GraphDefinition
from graphwire.graphs.diagram import to_dot, to_mermaid
from graphwire.graphs.documents import Document
from graphwire.types import GraphId

router = APIRouter(tags=["graphs"], route_class=DocumentRoute, dependencies=[Depends(accepts(JSON, YAML))])
drawings = APIRouter(tags=["graphs"])

MERMAID = "text/vnd.mermaid"
DOT = "text/vnd.graphviz"
PLAIN = "text/plain"
NODE_BYTES = 100
"""What a node with its edges counts for when it is drawn."""
_UNCHANGED: Mapping[int | str, Any] = {
    304: {"description": "It is the version that `If-None-Match` names.", "headers": described_headers("ETag")}
}
_LOOK = (NotFound, errors.NotAcceptable, AtCapacity, StorageUnavailable)
_LIST = (InvalidCursor, errors.NotAcceptable, InvalidInput, AtCapacity, StorageUnavailable)
_STORED = "The definition, as JSON or YAML: nodes, edges between them, and the state that an execution begins with."
_STORED_GRAPH = {
    "id": "discount",
    "version": 1,
    "definition": GRAPHS["conditions"]["value"],
    "warnings": [],
    "problems": [],
}
_CHANGED_GRAPH = {**_STORED_GRAPH, "version": 2, "definition": CHANGED_GRAPHS["changed"]["value"]}


def read_definition(request: Request, bounds: Bounds) -> AbstractAsyncContextManager[Document]:
    """Read a definition, and place what is refused in it. Raises as ``bodies.reading_definition``."""
    return reading_definition(request, max_bytes=bounds.max_definition_bytes, max_depth=bounds.max_json_depth)


_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@router.get(
    "/graphs",
    summary="List graphs",
    responses={**answers.describe(answers.Graphs, headers=("Link",)), **refusals.responses(*_LIST)},
)
async def list_graphs(
    request: Request,
    graphs: Graphs,
    q: Annotated[
        str | None,
        Query(
            max_length=200,
            description="A part of the id, the name or the description, in any case.",
            examples=["hello"],
        ),
    ] = None,
    limit: pagination.Limit = 100,
    after: pagination.After = None,
) -> Response:
    """List graphs in the order of their ids. `next` is the `after` of the next page."""
    items, following = await graphs.list(limit=limit, after=after, q=q)
    page = answers.Graphs([shapes.listed(each) for each in items], following)
    return answers.answer(page, headers=pagination.link_header(request, following))


@router.post(
    "/graphs",
    status_code=201,
    summary="Store a new graph",
    openapi_extra=described(
        GraphDefinition,
        description=_STORED,
        examples=GRAPHS,
        required=True,
        media_types=(JSON, YAML),
        parameters=[KEY],
    ),
    responses={
        **answers.describe(
            answers.Graph, 201, headers=("Location of graph", "ETag", "Idempotent-Replayed"), example=_STORED_GRAPH
        ),
        **refusals.responses(
            *refusals.STORED_DEFINITION,
            *refusals.KEYED,
            errors.NotAcceptable,
            GraphExists,
            GraphReadOnly,
            StorageUnavailable,
        ),
    },
)
async def create_graph(request: Request, bounds: BoundsDep, graphs: Graphs) -> Response:
    """Store a new graph, which can be executed at once. The body is the definition; code in it is refused."""
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
    summary="Check a definition",
    openapi_extra=described(
        None,
        description=f"What is to be checked. {_STORED} See `GraphDefinition`.",
        examples=JUDGED_GRAPHS,
        required=True,
        media_types=(JSON, YAML),
    ),
    responses={
        **answers.describe(answers.Validation),
        **refusals.responses(*refusals.DEFINITION, errors.NotAcceptable),
    },
)
async def validate_graph(request: Request, bounds: BoundsDep, graphs: Graphs) -> Response:
    """Say what is wrong or odd about a definition, and store nothing.

    A definition with problems is no error here: the answer is 200 and lists them. Only a text that cannot be read is.
    """
    async with read_definition(request, bounds) as document:
        judged = await graphs.judge(document.value)
    wrong = await located(request, document, judged.findings.problems)
    odd = await located(request, document, judged.findings.warnings)
    return answers.answer(shapes.validation(judged, wrong, odd))


@router.get(
    "/graphs/{graph_id}",
    summary="Read a graph",
    responses={**answers.describe(answers.Graph, headers=("ETag",)), **_UNCHANGED, **refusals.responses(*_LOOK)},
)
async def get_graph(graph_id: GraphName, graphs: Graphs, known: Known) -> Response:
    """Return the newest version of a graph. Its `ETag` is what `If-Match` of a change takes."""
    return _shown(await graphs.get(GraphId(graph_id)), known)


@router.put(
    "/graphs/{graph_id}",
    summary="Change a graph, or store it under an id",
    openapi_extra=described(
        GraphDefinition, description=_STORED, examples=CHANGED_GRAPHS, required=True, media_types=(JSON, YAML)
    ),
    responses={
        **answers.describe(answers.Graph, headers=("ETag",), example=_CHANGED_GRAPH),
        **answers.describe(answers.Graph, 201, headers=("ETag",), example={**_CHANGED_GRAPH, "version": 1}),
        **refusals.responses(
            *refusals.STORED_DEFINITION,
            NotFound,  # an id with a slash or a control character
            errors.NotAcceptable,
            GraphReadOnly,
            RevisionConflict,
            PreconditionRequired,
            StorageUnavailable,
        ),
    },
)
async def replace_graph(
    graph_id: OwnGraphName, request: Request, bounds: BoundsDep, graphs: Graphs, expected: Expected
) -> Response:
    """Store a definition as the newest version. Running executions keep theirs.

    A graph that exists is changed with `If-Match` only: 412 where it was changed meanwhile. One that does not exist is
    made, without `If-Match`.
    """
    async with read_definition(request, bounds) as document:
        view, is_new = await graphs.replace(GraphId(graph_id), document.value, expected=expected)
    return _answer(view, 201 if is_new else 200)


@router.delete(
    "/graphs/{graph_id}",
    status_code=204,
    summary="Delete a graph",
    response_description="The graph is gone.",
    responses=refusals.responses(
        NotFound, GraphReadOnly, GraphInUse, RevisionConflict, InvalidInput, StorageUnavailable
    ),
)
async def delete_graph(
    graph_id: OwnGraphName,
    graphs: Graphs,
    expected: Expected,
    force: Annotated[
        bool, Query(description="Cancel its executions first, and wait until they have ended.", examples=[True])
    ] = False,
) -> Response:
    """Delete a graph with its versions. Its executions stay, and their streams end as they do."""
    await graphs.delete(GraphId(graph_id), expected=expected, is_forced=force)
    return Response(status_code=204)


@router.get(
    "/graphs/{graph_id}/versions",
    summary="List the versions of a graph",
    responses={**answers.describe(answers.Versions, headers=("Link",)), **refusals.responses(*_LIST, NotFound)},
)
async def list_versions(
    graph_id: GraphName, request: Request, graphs: Graphs, limit: pagination.Limit = 100, after: pagination.After = None
) -> Response:
    """List the versions of a graph, newest first."""
    page = await graphs.versions(GraphId(graph_id), limit=limit, after=after)
    items = answers.Versions([shapes.version(each) for each in page.items], page.next)
    return answers.answer(items, headers=pagination.link_header(request, page.next))


@router.get(
    "/graphs/{graph_id}/versions/{version}",
    summary="Read a version",
    responses={**answers.describe(answers.Graph, headers=("ETag",)), **_UNCHANGED, **refusals.responses(*_LOOK)},
)
async def get_version(graph_id: GraphName, version: Version, graphs: Graphs, known: Known) -> Response:
    """Return a version of a graph. A version never changes."""
    return _shown(await graphs.version(GraphId(graph_id), _number(version)), known)


@router.get(
    "/graphs/{graph_id}/versions/{before}/diff/{after}",
    summary="Compare two versions",
    responses={**answers.describe(answers.Difference), **refusals.responses(*_LOOK)},
)
async def compare_versions(graph_id: OwnGraphName, before: Version, after: LaterVersion, graphs: Graphs) -> Response:
    """Return what one version has that another has not, by the ids of nodes and edges."""
    numbers = _number(before), _number(after)
    found = await graphs.compare(GraphId(graph_id), *numbers)
    return answers.answer(shapes.compared(GraphId(graph_id), numbers, found))


@router.get(
    "/node-types",
    summary="List node types",
    responses={**answers.describe(answers.NodeTypes), **refusals.responses(errors.NotAcceptable)},
)
async def list_node_types(graphs: Graphs) -> Response:
    """List the node types that a definition may name, each with the JSON Schema of its config."""
    return answers.answer(answers.NodeTypes(list(graphs.node_types())))


@drawings.get(
    "/graphs/{graph_id}/diagram",
    summary="Draw a graph",
    response_class=Response,
    responses={
        200: {
            "description": "The diagram as text.",
            "content": {
                MERMAID: {"schema": {"type": "string"}, "example": MERMAID_EXAMPLE},
                DOT: {"schema": {"type": "string"}, "example": DOT_EXAMPLE},
                PLAIN: {"schema": {"type": "string"}, "example": MERMAID_EXAMPLE},
            },
        },
        **refusals.responses(*_LOOK, InvalidInput),
    },
)
async def draw_graph(
    graph_id: GraphName,
    request: Request,
    graphs: Graphs,
    format: Annotated[
        Literal["mermaid", "dot"] | None,
        Query(description="The language of the diagram; else `Accept` says it, else it is Mermaid.", examples=["dot"]),
    ] = None,
) -> Response:
    """Return a diagram of the newest version as text."""
    offered = (MERMAID, DOT) if format is None else (MERMAID,) if format == "mermaid" else (DOT,)
    chosen = choose(accepted(request), (*offered, PLAIN))
    definition = await graphs.definition(GraphId(graph_id))
    draw = to_dot if DOT in (chosen, *offered[:1]) else to_mermaid
    beside: Beside = request.state.beside
    text = await beside.write(NODE_BYTES * len(definition.nodes), lambda: draw(definition))
    return Response(text, headers={"Content-Type": f"{chosen}; charset=utf-8"})


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
