"""What happens to the service as a whole: as a stream or as a page."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api import errors, refusals
from app.api.dependencies import Bounds
from app.api.direct import DirectRoute
from app.api.leaving import while_there
from app.api.negotiation import JSON, NDJSON, SSE, accepted, choose
from app.api.routers.streams import LAST_EVENT_ID, MAX_PAGE, MAX_WAIT_S, Heartbeat, HeartbeatEvent, streamed
from app.api.schemas import service_events as shapes
from app.api.schemas.streams import FORMS
from app.services.service_log import ServiceLog
from app.services.streams import StreamService
from app.transports.cursor import parse_cursor
from app.transports.poll import encode_page
from graphwire.errors import AtCapacity, HistoryDamaged, InvalidCursor, InvalidInput, ShuttingDown, StorageUnavailable
from graphwire.events.topics import parse_topics

router = APIRouter(tags=["streams"], route_class=DirectRoute)

Topics = Annotated[
    list[str] | None,
    Query(
        description="Only events of these topics, where `*` stands for any characters; repeated or separated by "
        "commas.",
        examples=[["execution.*", "system.*"]],
    ),
]


@router.get(
    "/events",
    summary="Follow the service",
    description=f"""Read what happens to graphs, to executions (their life cycle, not their nodes) and to the system.

It is a log of its own: each event has a number, `seq`, from 1, and its `topic` says what happened: `graph.created`, \
`graph.updated`, `graph.deleted`, `execution.started`, `execution.completed`, `execution.failed`, \
`execution.cancelled`, `execution.deleted`, `system.startup`, `system.shutdown`, `system.resource_warning` or \
`system.diagnostic`. The details are read from the execution or the graph.

{FORMS}
- `application/json`: a page of at most `limit` events; with `wait` it waits for the first one. Go on with `after` = \
`next`.

**Nothing is lost.** An event is stored in one transaction with what it tells, and is told when it is stored. A reader \
that lost its connection asks again with the last number that it has, as `Last-Event-ID` or as `after`.

**It ends** with the service only: the notice `stream_closed` says so, and its `retry_ms` when to come back.""",
    openapi_extra={"parameters": [LAST_EVENT_ID]},
    response_class=Response,
    responses={
        **shapes.followed(),
        **refusals.responses(
            InvalidCursor,
            errors.NotAcceptable,
            InvalidInput,
            HistoryDamaged,
            AtCapacity,
            ShuttingDown,
            StorageUnavailable,
        ),
    },
)
async def get_service_events(
    request: Request,
    after: Annotated[
        str | None, Query(description="Number of the last event that the reader has.", examples=["2"])
    ] = None,
    topics: Topics = None,
    heartbeat: Heartbeat = None,
    heartbeat_event: HeartbeatEvent = False,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="For JSON: events of a page.", examples=[2])] = MAX_PAGE,
    wait: Annotated[
        float, Query(ge=0, le=MAX_WAIT_S, description="For JSON: seconds to wait for an event.", examples=[1])
    ] = 0.0,
) -> Response:
    """Read what happens to graphs, executions and the system, from any place on, live."""
    media_type = choose(accepted(request), (SSE, NDJSON, JSON))
    state = request.state
    log: ServiceLog = state.service_log
    streams: StreamService = state.streams
    place = parse_cursor(request.headers.get("last-event-id"), after)
    wanted = parse_topics(topics or ())
    if media_type == JSON:
        polling = streams.page_of_service(log, after=place or 0, filter=wanted, limit=limit, wait_s=wait)
        return Response(encode_page(await (while_there(request, polling) if wait > 0 else polling)), media_type=JSON)
    if media_type == NDJSON:
        streams.admit()
    reader = await streams.open_service(log, after=place, filter=wanted)
    bounds: Bounds = state.bounds
    return streamed(
        request,
        reader,
        media_type,
        heartbeat_s=heartbeat or bounds.heartbeat_s,
        as_notice=heartbeat_event or wanted is not None,
    )
