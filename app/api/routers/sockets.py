"""WebSockets: one for each execution, one for each graph, and one for everything."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from app.api import problems, refusals
from app.api.dependencies import Bounds
from app.api.errors import WebSocketRequired
from app.api.methods import METHODS
from app.api.parameters import ExecutionName, TickingGraphName
from app.api.routers.streams import MAX_PAGE, Heartbeat, HeartbeatEvent, PageLimit, PageWait
from app.api.rpc import Rpc
from app.services.executions import ExecutionService
from app.services.streams import StreamService
from app.transports.dialects.names import parse_dialect
from app.transports.dialects.opening import Telling, Told, is_end, place_for
from app.transports.websocket.connection import COMPLETED, SUBPROTOCOL, TRY_LATER, Connection
from app.transports.websocket.sockets import Sockets
from graphwire.errors import GraphInvalid, GraphwireError, InvalidInput, ShuttingDown
from graphwire.events.filters import parse_filter
from graphwire.graphs.shape import parse_model
from graphwire.types import ExecutionId, GraphId

router = APIRouter(tags=["sockets"])

_HANDSHAKE: Final[Mapping[str, str]] = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
}


class StreamQuery(BaseModel):
    """What `GET …/events` has in its query beside a place, a filter and a dialect: refused here where it is there."""

    heartbeat: Heartbeat = None
    heartbeat_event: HeartbeatEvent = False
    limit: PageLimit = MAX_PAGE
    wait: PageWait = 0.0


@dataclass(slots=True)
class Beginning:
    """What a socket is to begin with.

    Attributes:
        graph_id: The graph that it is for.
        reader: What it is subscribed to without being asked.
        ends: Whether it closes when its last subscription has ended.
        is_over: Nothing follows: it closes at once.
    """

    graph_id: GraphId | None = None
    reader: Told | None = None
    ends: bool = False
    is_over: bool = False


Begin: TypeAlias = Callable[[HTTPConnection], Awaitable[Beginning]]


class SocketEndpoint:
    """The application of a socket's route: what is refused is refused before the upgrade.

    Args:
        begin: Raises a ``GraphwireError`` for what is refused.
    """

    def __init__(self, begin: Begin) -> None:
        self._begin = begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # the request to connect
        request = HTTPConnection(scope)
        name = str(request.state.request_id)
        sockets: Sockets = request.state.sockets
        try:
            if sockets.is_draining:
                raise ShuttingDown("the service stops; come back")
            heartbeat_s = _heartbeat_s(request)
            beginning = await self._begin(request)
        except GraphwireError as error:
            await problems.render(problems.shown(error, name), name)(scope, receive, send)
            return
        try:
            await _accept(scope, send)
            if beginning.is_over:
                await send({"type": "websocket.close", "code": COMPLETED})
            elif sockets.is_full:
                await send({"type": "websocket.close", "code": TRY_LATER, "reason": "at_capacity"})
            else:
                connection = _connection(scope, receive, send, beginning, heartbeat_s)
                await sockets.serve(connection)
        finally:
            if beginning.reader is not None:
                beginning.reader.close()


async def _accept(scope: Scope, send: Send) -> None:
    chosen = SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None
    await send({"type": "websocket.accept", "subprotocol": chosen, "headers": []})


def _connection(scope: Scope, receive: Receive, send: Send, beginning: Beginning, heartbeat_s: float) -> Connection:
    request = HTTPConnection(scope)
    state = request.state
    bounds: Bounds = state.bounds
    rpc = Rpc(METHODS, state, request_id=state.request_id, max_depth=bounds.max_json_depth, graph_id=beginning.graph_id)
    connection = Connection(
        scope,
        receive,
        send,
        answer=rpc.answer,
        broadcasts=state.broadcasts,
        clock=state.clock,
        heartbeat_s=heartbeat_s,
        max_subscriptions=bounds.max_subscriptions,
        max_bad_messages=bounds.max_bad_messages,
        ends=beginning.ends,
    )
    if beginning.reader is not None:
        connection.subscribe(beginning.reader)
    return connection


def _heartbeat_s(request: HTTPConnection) -> float:
    bounds: Bounds = request.state.bounds
    query = request.query_params
    given = {name: query[name] for name in StreamQuery.model_fields if name in query}
    try:
        wanted = parse_model(StreamQuery, given, at="/query")
    except GraphInvalid as error:
        raise InvalidInput(error.detail, error.problems) from None
    return wanted.heartbeat or bounds.heartbeat_s


async def _for_everything(request: HTTPConnection) -> Beginning:
    return Beginning()


async def _for_graph(request: HTTPConnection) -> Beginning:
    graph_id = GraphId(request.path_params["graph_id"])
    executions: ExecutionService = request.state.executions
    await executions.node_ids(graph_id, None)
    return Beginning(graph_id=graph_id, ends=True)


async def _for_execution(request: HTTPConnection) -> Beginning:
    executions: ExecutionService = request.state.executions
    streams: StreamService = request.state.streams
    query = request.query_params
    dialect = parse_dialect(query.get("dialect"))
    place = place_for(dialect, request.headers.get("last-event-id"), query.get("after"))
    followed = await executions.follow(ExecutionId(request.path_params["execution_id"]))
    wanted = parse_filter(query.getlist("types"), query.getlist("nodes"), known_nodes=followed.node_ids)
    telling = Telling(streams, dialect, executions.states)
    reader = telling.open(followed.id, followed.hub, place=place, filter=wanted)
    return Beginning(reader=reader, ends=True, is_over=is_end(followed.hub, place))


SOCKETS: Final[Mapping[str, Begin]] = {
    "/ws": _for_everything,
    "/graphs/{graph_id}/ws": _for_graph,
    "/executions/{execution_id}/ws": _for_execution,
}
for _path, _begin in SOCKETS.items():
    router.add_websocket_route(_path, SocketEndpoint(_begin))  # type: ignore[arg-type]  # an ASGI application will do

_REFUSED: Final[Any] = refusals.responses(WebSocketRequired)


@router.get("/ws", summary="Open a socket for everything", response_class=Response, responses=_REFUSED)
async def open_socket(request: Request) -> Response:
    """Follow and steer any number of executions over one WebSocket, with JSON-RPC 2.0."""
    return _required(request)


@router.get("/graphs/{graph_id}/ws", summary="Open a socket for a graph", response_class=Response, responses=_REFUSED)
async def open_graph_socket(graph_id: TickingGraphName, request: Request) -> Response:
    """Start and follow executions of one graph over a WebSocket; it closes with the last one that it follows."""
    return _required(request)


@router.get(
    "/executions/{execution_id}/ws", summary="Open a socket for an execution", response_class=Response,
    responses=_REFUSED,
)  # fmt: skip
async def open_execution_socket(execution_id: ExecutionName, request: Request) -> Response:
    """Follow one execution over a WebSocket, with the same query as `GET …/events`; it closes at the end."""
    return _required(request)


def _required(request: Request) -> Response:
    refused = WebSocketRequired("this address is a WebSocket's; open it with ws:// or wss://")
    return problems.render(refused, problems.request_id(request), headers=_HANDSHAKE)


def is_socket(path: str) -> bool:
    """Return whether a path, without escapes, is a socket's."""
    return any(isinstance(route, WebSocketRoute) and route.path_regex.match(path) for route in router.routes)
