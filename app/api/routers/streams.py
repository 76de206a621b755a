"""Events of an execution: as a stream, as a page, or from its start on."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api import errors, refusals
from app.api.bodies import read_model
from app.api.dependencies import Bounds
from app.api.direct import DirectRoute
from app.api.idempotency import PARAMETER as KEY
from app.api.idempotency import once, read_start_key, refuse_resumption
from app.api.leaving import while_there
from app.api.negotiation import JSON, NDJSON, SSE, accepted, choose
from app.api.parameters import ExecutionName, TickingGraphName
from app.api.routers.executions import START_BODY, started_headers
from app.api.schemas import streams as shapes
from app.api.schemas.bodies import described
from app.api.schemas.examples import TICKING_STARTS
from app.api.schemas.start import StartRequest
from app.services.executions import ExecutionService, Followed
from app.services.readers import EventReader
from app.services.streams import StreamService
from app.storage.repositories.idempotency import MadeEvent
from app.transports.cursor import parse_cursor
from app.transports.framing import stream
from app.transports.ndjson import NdjsonForm, NdjsonResponse
from app.transports.poll import encode_page
from app.transports.sse import SseForm, SseResponse
from graphwire.clock import Clock
from graphwire.errors import HistoryDamaged, InvalidCursor, InvalidInput, NotFound, ShuttingDown, StorageUnavailable
from graphwire.events.filters import Filter, parse_filter
from graphwire.types import ExecutionId, GraphId

router = APIRouter(tags=["streams"], route_class=DirectRoute)

MAX_PAGE = 1_000
MAX_WAIT_S = 30.0

Types = Annotated[
    list[str] | None,
    Query(
        description="Only events of these types, and those that end a stream; repeated or separated by commas.",
        examples=[["node_completed", "node_failed"]],
    ),
]
Nodes = Annotated[
    list[str] | None, Query(description="Only events of these nodes, and those of no node.", examples=[["tick"]])
]
Heartbeat = Annotated[
    float | None, Query(ge=1, le=60, description="Seconds of silence before a heartbeat.", examples=[5])
]
HeartbeatEvent = Annotated[
    bool, Query(description="Send the heartbeat as a notice, which scripts can see.", examples=[True])
]
LAST_EVENT_ID: Final[Mapping[str, Any]] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The number of the last event that the reader has: it goes on behind it. Wins over `after`. A start "
    "takes it only together with the `Idempotency-Key` of an earlier one.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,19}$", "examples": ["2"]},
}


@router.post(
    "/graphs/{graph_id}/execute/stream",
    summary="Start an execution and follow it live",
    description=f"""Start an execution and stream its events from the first one on.

`Location` comes before the first byte: it is where the execution is found, and where a lost stream is resumed.
Sending the request again would start a second execution, unless it has the `Idempotency-Key` of the first.

{shapes.FORMS}

{shapes.RESUMING}
""",
    openapi_extra=described(
        StartRequest, description=START_BODY, examples=TICKING_STARTS, parameters=[KEY, LAST_EVENT_ID]
    ),
    response_class=Response,
    responses={**shapes.started(), **refusals.responses(*refusals.START, InvalidCursor)},
)
async def execute_graph_and_stream(
    graph_id: TickingGraphName,
    request: Request,
    types: Types = None,
    nodes: Nodes = None,
    heartbeat: Heartbeat = None,
    heartbeat_event: HeartbeatEvent = False,
) -> Response:
    """Start an execution and stream its events from the first one on."""
    key = read_start_key(request)
    media_type = choose(accepted(request), (SSE, NDJSON))
    state = request.state
    executions: ExecutionService = state.executions
    streams: StreamService = state.streams
    bounds: Bounds = state.bounds
    body = await read_model(request, StartRequest, max_bytes=bounds.max_body_bytes, max_depth=bounds.max_json_depth)
    reader: EventReader | None
    async with once(request, key, body) as turn:
        if not turn.is_repeated:
            refuse_resumption(request)
            wishes = body.wishes()
            wanted = None
            if types or nodes:
                known = await executions.node_ids(GraphId(graph_id), wishes.version)
                wanted = parse_filter(types or (), nodes or (), known_nodes=known)
            runner = await executions.start(GraphId(graph_id), wishes, turn.claim)
            turn.made = MadeEvent(runner.id, 1)
            reader = streams.open(runner.id, runner.hub, after=None, filter=wanted)
    if turn.is_repeated:
        if streams.is_draining:
            raise ShuttingDown("the service stops; come back")
        place = parse_cursor(request.headers.get("last-event-id"), None)
        followed = await executions.follow(turn.event.execution_id)
        wanted = parse_filter(types or (), nodes or (), known_nodes=followed.node_ids)
        reader = _opened(streams, followed, place, wanted)
    if reader is None:
        return Response(status_code=204, headers=started_headers(turn))
    return _streamed(
        request,
        reader,
        media_type,
        heartbeat_s=heartbeat or bounds.heartbeat_s,
        as_notice=heartbeat_event or wanted is not None,
        headers=started_headers(turn),
    )


@router.get(
    "/executions/{execution_id}/events",
    summary="Follow an execution, or read its events",
    description=f"""Read an execution's events from any place on, live, until its end.

`Last-Event-ID` names the last event that the reader has, else `after` does, else it is the start. Resuming is the same
request as starting, and works the same for an execution that ended long ago.

{shapes.FORMS}
- `application/json`: a page of at most `limit` events; with `wait` it waits for the first one. Go on with `after` = \
`next`, until `ended`.

{shapes.RESUMING}
""",
    openapi_extra={"parameters": [LAST_EVENT_ID]},
    response_class=Response,
    responses={
        **shapes.followed(),
        **refusals.responses(
            InvalidCursor,
            NotFound,
            errors.NotAcceptable,
            InvalidInput,
            HistoryDamaged,
            ShuttingDown,
            StorageUnavailable,
        ),
    },
)
async def get_events(
    execution_id: ExecutionName,
    request: Request,
    after: Annotated[
        str | None, Query(description="Number of the last event that the reader has.", examples=["2"])
    ] = None,
    types: Types = None,
    nodes: Nodes = None,
    heartbeat: Heartbeat = None,
    heartbeat_event: HeartbeatEvent = False,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="For JSON: events of a page.", examples=[2])] = MAX_PAGE,
    wait: Annotated[
        float, Query(ge=0, le=MAX_WAIT_S, description="For JSON: seconds to wait for an event.", examples=[1])
    ] = 0.0,
) -> Response:
    """Read an execution's events from any place on, live, until its end."""
    media_type = choose(accepted(request), (SSE, NDJSON, JSON))
    state = request.state
    executions: ExecutionService = state.executions
    streams: StreamService = state.streams
    place = parse_cursor(request.headers.get("last-event-id"), after)
    followed = await executions.follow(ExecutionId(execution_id))
    wanted = parse_filter(types or (), nodes or (), known_nodes=followed.node_ids)
    if media_type == JSON:
        polling = streams.page(followed.id, followed.hub, after=place or 0, filter=wanted, limit=limit, wait_s=wait)
        page = await (while_there(request, polling) if wait > 0 else polling)
        return Response(encode_page(page, status=await executions.status(followed.id)), media_type=JSON)
    if media_type == NDJSON and streams.is_draining:
        raise ShuttingDown("the service stops; come back")
    reader = _opened(streams, followed, place, wanted)
    if reader is None:
        return Response(status_code=204)
    bounds: Bounds = state.bounds
    return _streamed(
        request,
        reader,
        media_type,
        heartbeat_s=heartbeat or bounds.heartbeat_s,
        as_notice=heartbeat_event or wanted is not None,
    )


def _opened(streams: StreamService, followed: Followed, place: int | None, wanted: Filter | None) -> EventReader | None:
    """Open a reader; None where nothing follows."""
    reader = streams.open(followed.id, followed.hub, after=place, filter=wanted)
    if place is not None and followed.hub.closed and place >= followed.hub.visible:
        reader.close()
        return None
    return reader


def _streamed(
    request: Request,
    reader: EventReader,
    media_type: str,
    *,
    heartbeat_s: float,
    as_notice: bool,
    headers: Mapping[str, str] | None = None,
) -> Response:
    clock: Clock = request.state.clock
    if media_type == NDJSON:
        lines = stream(reader, NdjsonForm(), heartbeat_s=heartbeat_s, clock=clock)
        return NdjsonResponse(lines, reader, headers=headers)
    blocks = stream(reader, SseForm(comments=not as_notice), heartbeat_s=heartbeat_s, clock=clock)
    return SseResponse(blocks, reader, headers=headers)
