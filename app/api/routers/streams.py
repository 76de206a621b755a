"""Events of an execution: as a stream, as a page, or from its start on."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api import errors, refusals
from app.api.dependencies import Bounds
from app.api.direct import DirectRoute
from app.api.idempotency import PARAMETER as KEY, once, read_start_key, refuse_resumption
from app.api.leaving import while_there
from app.api.negotiation import JSON, NDJSON, SSE, accepted, choose, choose_coding
from app.api.parameters import ExecutionName, TickingGraphName
from app.api.routers.executions import START_BODY, started_headers
from app.api.schemas import streams as shapes
from app.api.schemas.bodies import described
from app.api.schemas.examples import TICKING_STARTS
from app.api.starts import read_start, start
from app.services.executions import ExecutionService
from app.services.readers import EventReader
from app.services.streams import StreamService
from app.transports.broadcast import OUTLET, Broadcasts, Outlet
from app.transports.compression import CODINGS, IDENTITY
from app.transports.cursor import START
from app.transports.dialects.names import DialectName
from app.transports.dialects.opening import Telling, Told, is_end, place_for
from app.transports.dialects.reader import DialectForm
from app.transports.framing import Form, stream
from app.transports.ndjson import NdjsonForm, NdjsonResponse
from app.transports.poll import encode_page
from app.transports.sse import SseForm, SseResponse
from graphwire.clock import Clock
from graphwire.errors import (
    AtCapacity,
    HistoryDamaged,
    InvalidCursor,
    InvalidInput,
    NotFound,
    ShuttingDown,
    StorageUnavailable,
)
from graphwire.events.filters import parse_filter
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
PageLimit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="For JSON: events of a page.", examples=[2])]
PageWait = Annotated[
    float, Query(ge=0, le=MAX_WAIT_S, description="For JSON: seconds to wait for an event.", examples=[1])
]
Vocabulary = Annotated[
    DialectName,
    Query(
        alias="dialect",
        description="The vocabulary in which the events are told; `/schemas/events` has the frames of each under "
        "`$defs`. Filters name native types in all of them.",
        examples=["editor", "bus", "scoped", "ag-ui"],
    ),
]
STREAMED_START: Final[Mapping[str, Any]] = {
    "anyOf": [{"$ref": "#/components/schemas/StartRequest"}, {"$ref": "#/components/schemas/RunAgentInput"}]
}
LAST_EVENT_ID: Final[Mapping[str, Any]] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The number of the last event that the reader has: it goes on behind it. Wins over `after`. A start "
    "takes it only together with the `Idempotency-Key` of an earlier one. In a dialect the number of a "
    "frame may stand behind it, after a point.",
    "schema": {"type": "string", "pattern": r"^[0-9]{1,19}(\.[0-9]{1,19})?$", "examples": ["2"]},
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
        STREAMED_START,
        description=f"{START_BODY} With `dialect=ag-ui` it is a `RunAgentInput`, as clients of AG-UI send it.",
        examples=TICKING_STARTS,
        parameters=[KEY, LAST_EVENT_ID],
    ),
    response_class=Response,
    responses={**shapes.started(), **refusals.responses(*refusals.START, InvalidCursor)},
)
async def execute_graph_and_stream(
    graph_id: TickingGraphName,
    request: Request,
    types: Types = None,
    nodes: Nodes = None,
    dialect: Vocabulary = "native",
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
    streams.admit()
    asked = await read_start(request, bounds, dialect)
    telling = Telling(streams, dialect, executions.states)
    async with once(request, key, asked.body) as turn:
        if not turn.is_repeated:
            refuse_resumption(request)
            wanted = None
            if types or nodes:
                known = await executions.node_ids(GraphId(graph_id), asked.wishes.version)
                wanted = parse_filter(types or (), nodes or (), known_nodes=known)
            runner = await start(request, executions, graph_id, asked, turn)
            reader = telling.open(runner.id, runner.hub, place=START, filter=wanted)
    if turn.is_repeated:
        place = place_for(dialect, request.headers.get("last-event-id"), None)
        followed = await executions.follow(turn.event.execution_id)
        wanted = parse_filter(types or (), nodes or (), known_nodes=followed.node_ids)
        reader = telling.open(followed.id, followed.hub, place=place, filter=wanted)
        if is_end(followed.hub, place):
            reader.close()
            return Response(status_code=204, headers=started_headers(turn))
    return streamed(
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
            AtCapacity,
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
    dialect: Vocabulary = "native",
    heartbeat: Heartbeat = None,
    heartbeat_event: HeartbeatEvent = False,
    limit: PageLimit = MAX_PAGE,
    wait: PageWait = 0.0,
) -> Response:
    """Read an execution's events from any place on, live, until its end."""
    media_type = choose(accepted(request), (SSE, NDJSON, JSON))
    state = request.state
    executions: ExecutionService = state.executions
    streams: StreamService = state.streams
    place = place_for(dialect, request.headers.get("last-event-id"), after)
    telling = Telling(streams, dialect, executions.states)
    followed = await executions.follow(ExecutionId(execution_id))
    wanted = parse_filter(types or (), nodes or (), known_nodes=followed.node_ids)
    if media_type == JSON:
        polling = telling.page(followed.id, followed.hub, place=place, filter=wanted, limit=limit, wait_s=wait)
        page = await (while_there(request, polling) if wait > 0 else polling)
        return Response(encode_page(page, status=await executions.status(followed.id)), media_type=JSON)
    if media_type == NDJSON:
        streams.admit()
    reader = telling.open(followed.id, followed.hub, place=place, filter=wanted)
    if is_end(followed.hub, place):
        reader.close()
        return Response(status_code=204)
    bounds: Bounds = state.bounds
    return streamed(
        request,
        reader,
        media_type,
        heartbeat_s=heartbeat or bounds.heartbeat_s,
        as_notice=heartbeat_event or wanted is not None,
    )


def streamed(
    request: Request,
    reader: Told,
    media_type: str,
    *,
    heartbeat_s: float,
    as_notice: bool,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer with a stream, in the form that the client chose."""
    clock: Clock = request.state.clock
    shared = NdjsonForm() if media_type == NDJSON else SseForm(comments=not as_notice)
    form: Form = shared
    name = choose_coding(request, CODINGS)
    coding = IDENTITY if name is None else CODINGS[name]
    coder = coding.coder()
    outlet: Outlet | None = request.scope.get("extensions", {}).get(OUTLET)
    follow = None
    if not isinstance(reader, EventReader):
        form = DialectForm(form, reader.notice)
    elif outlet is not None and reader.is_unfiltered:
        broadcasts: Broadcasts = request.state.broadcasts
        follow = partial(broadcasts.follow, reader, shared, coding, coder, outlet, heartbeat_s=heartbeat_s)
    writes = stream(reader, form, coder, heartbeat_s=heartbeat_s, clock=clock, follow=follow)
    headers = {**(headers or {}), "Vary": "Accept-Encoding", **({"Content-Encoding": name} if name else {})}
    if media_type == NDJSON:
        return NdjsonResponse(writes, reader, headers=headers)
    return SseResponse(writes, reader, headers=headers)
