"""Executions: start one, look at it, cancel it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api import errors, pagination, refusals
from app.api.dependencies import BoundsDep, Deletions, Executions, Streams
from app.api.idempotency import PARAMETER as KEY, REPEATED, once, read_start_key, refuse_resumption
from app.api.leaving import while_there
from app.api.moments import read_moment, require_searchable
from app.api.negotiation import JSON, accepts
from app.api.parameters import EventNumber, ExecutionName, GraphName, TickingGraphName
from app.api.schemas import answers
from app.api.schemas.bodies import described
from app.api.schemas.examples import EXECUTION_ID, MODELS, STARTS, TICKING_STARTS
from app.api.schemas.start import StartRequest
from app.api.schemas.streams import EVENTS
from app.api.starts import read_start, start
from app.services.idempotency import Turn
from app.storage.repositories.executions import ExecutionQuery, Sort
from graphwire.engine.runner import Runner
from graphwire.errors import (
    CommandNotAllowed,
    HistoryDamaged,
    InvalidCursor,
    InvalidInput,
    NotFound,
    Problem,
    StorageUnavailable,
    quoted,
)
from graphwire.near_names import NearNames
from graphwire.types import ExecutionId

router = APIRouter(tags=["executions"], dependencies=[Depends(accepts(JSON))])

_LOOK = (NotFound, errors.NotAcceptable, HistoryDamaged, StorageUnavailable)
_START_HEADERS = ("Location", "Idempotent-Replayed")
START_BODY = "How the execution starts; every field may be left out, and so may the body."
_TICKING: Mapping[str, Any] = {**MODELS["Accepted"], "graph_id": "ticker"}
STATUSES = ("queued", "running", "pausing", "paused", "stopping", "completed", "failed", "cancelled")


@router.post(
    "/graphs/{graph_id}/execute",
    status_code=202,
    summary="Start an execution",
    openapi_extra=described(StartRequest, description=START_BODY, examples=TICKING_STARTS, parameters=[KEY]),
    responses={
        **answers.describe(answers.Accepted, 202, headers=_START_HEADERS, example=_TICKING),
        **refusals.responses(*refusals.START),
    },
)
async def execute_graph(
    graph_id: TickingGraphName, request: Request, bounds: BoundsDep, executions: Executions
) -> Response:
    """Start an execution and return at once. It is promised to reach an end; `Location` is where it is found.

    A request that may be sent twice, because its answer can be lost, has an `Idempotency-Key`: however often it is
    repeated, one execution is started.
    """
    key = read_start_key(request)
    asked = await read_start(request, bounds)
    async with once(request, key, asked.body) as turn:
        if not turn.is_repeated:
            refuse_resumption(request)
            runner = await start(request, executions, graph_id, asked, turn)
            view = executions.view_live(runner)
    if turn.is_repeated:
        # The first answer again: the status was that of what has just begun.
        view = await executions.view(turn.event.execution_id)
        view = replace(view, status="queued" if view.status == "queued" else "running")
    return answers.answer(answers.accepted(view), 202, started_headers(turn))


@router.post(
    "/graphs/{graph_id}/execute/wait",
    summary="Start an execution and wait for its result",
    openapi_extra=described(StartRequest, description=START_BODY, examples=STARTS, parameters=[KEY]),
    responses={
        **answers.describe(answers.Result, headers=_START_HEADERS),
        **answers.describe(answers.Accepted, 202, headers=_START_HEADERS),
        **refusals.responses(*refusals.START),
    },
)
async def execute_graph_and_wait(
    graph_id: GraphName,
    request: Request,
    bounds: BoundsDep,
    executions: Executions,
    timeout_s: Annotated[
        float, Query(alias="timeout", ge=1, le=600, description="Seconds to wait for the end.", examples=[30])
    ] = 120.0,
) -> Response:
    """Start an execution and wait for its end. After `timeout` the answer is 202, and the execution goes on.

    The answer is 200 for every end, for a failure too: `status` says which it was, and `error` why.
    """
    key = read_start_key(request)
    asked = await read_start(request, bounds)
    runner: Runner | None = None
    async with once(request, key, asked.body) as turn:
        if not turn.is_repeated:
            refuse_resumption(request)
            runner = await start(request, executions, graph_id, asked, turn)
    if turn.is_repeated:
        runner = executions.live(turn.event.execution_id)
    if runner is not None and not await while_there(request, executions.wait(runner, timeout_s)):
        return answers.answer(answers.accepted(executions.view_live(runner)), 202, started_headers(turn))
    result = answers.result(*await executions.result(turn.event.execution_id))
    return answers.answer(result, 200, started_headers(turn))


@router.get(
    "/executions",
    summary="List executions",
    responses={
        **answers.describe(answers.Executions, headers=("Link",)),
        **refusals.responses(InvalidCursor, errors.NotAcceptable, InvalidInput, StorageUnavailable),
    },
)
async def list_executions(
    request: Request,
    executions: Executions,
    status: Annotated[
        list[str] | None,
        Query(description="Any of these; repeated or separated by commas.", examples=[["completed", "failed"]]),
    ] = None,
    graph: Annotated[list[str] | None, Query(description="Of any of these graphs.", examples=[["hello"]])] = None,
    forked_from: Annotated[
        list[str] | None, Query(description="Forks of any of these executions.", examples=[[EXECUTION_ID]])
    ] = None,
    since: Annotated[
        str | None,
        Query(description="Started then or later; RFC 3339, with offset.", examples=["2026-11-20T19:45:30Z"]),
    ] = None,
    until: Annotated[
        str | None, Query(description="Started before; likewise.", examples=["2036-11-20T19:45:30+01:00"])
    ] = None,
    q: Annotated[
        str | None,
        Query(max_length=200, description="Part of an id, of the reason or of the error.", examples=["hello"]),
    ] = None,
    sort: Annotated[Sort, Query(description="The order; `-` is falling.", examples=["-duration_ms"])] = "-started_at",
    limit: pagination.Limit = 100,
    after: pagination.After = None,
    waiting: Annotated[
        bool | None, Query(description="Paused while a node waits for input, or not.", examples=[True])
    ] = None,
) -> Response:
    """List executions, newest first unless `sort` says otherwise; those that run are among them.

    A page has at most `limit` items, and may have fewer before the last one. `next` is the `after` of the next page.
    """
    require_searchable(q, "/query/q")
    query = ExecutionQuery(
        statuses=frozenset(_statuses(status)),
        graph_ids=frozenset(pagination.split(graph)),
        since=read_moment(since, "/query/since"),
        until=read_moment(until, "/query/until"),
        text=q,
        sort=sort,
        limit=limit,
        after=after,
        origins=frozenset(pagination.split(forked_from)),
        waiting=waiting,
    )
    items, following = await executions.list(query)
    page = answers.Executions([answers.summary(view) for view in items], following)
    return answers.answer(page, headers=pagination.link_header(request, following))


@router.get(
    "/executions/{execution_id}",
    summary="Look at an execution",
    responses={**answers.describe(answers.Execution), **refusals.responses(*_LOOK)},
)
async def get_execution(execution_id: ExecutionName, executions: Executions) -> Response:
    """Return all about an execution but its events and its state."""
    return answers.answer(answers.execution(await executions.view(ExecutionId(execution_id))))


@router.get(
    "/executions/{execution_id}/events/{seq}",
    tags=["streams"],
    summary="Read one event, whole",
    responses={
        200: {
            "description": "The event, whole.",
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Event"}, "example": EVENTS[0]}},
        },
        **refusals.responses(*_LOOK),
    },
)
async def get_event(
    execution_id: ExecutionName, seq: EventNumber, executions: Executions, streams: Streams
) -> Response:
    """Return one event, whole, also where a stream shows `$ref` for a large part of it."""
    if not (seq.isascii() and seq.isdigit() and len(seq) <= 19):
        raise NotFound("an event is named by its number")
    followed = await executions.follow(ExecutionId(execution_id))
    body = await streams.read_event(followed.id, followed.hub, int(seq))
    return Response(body, media_type=JSON)


@router.delete(
    "/executions/{execution_id}",
    status_code=204,
    summary="Delete an execution",
    response_description="The execution is gone.",
    responses=refusals.responses(NotFound, CommandNotAllowed, StorageUnavailable),
)
async def delete_execution(execution_id: ExecutionName, deletions: Deletions) -> Response:
    """Delete an execution that has ended, with its events. From then on every route answers 404 for it.

    Its streams end with `stream_closed` and the code `deleted`. Repeating it is safe, and answered 404.
    """
    await deletions.delete(ExecutionId(execution_id))
    return Response(status_code=204)


def started_headers(turn: Turn) -> dict[str, str]:
    """Return the headers of an answer to a start."""
    return {"Location": answers.address(turn.event.execution_id), **(REPEATED if turn.is_repeated else {})}


def _statuses(given: list[str] | None) -> list[str]:
    statuses = pagination.split(given)
    near = NearNames()
    unknown = [
        Problem(f"/query/status/{index}", "unknown_status", f"{quoted(name)} is no status{near(name, STATUSES)}")
        for index, name in enumerate(statuses)
        if name not in STATUSES
    ]
    if unknown:
        raise InvalidInput("a status is unknown", unknown)
    return statuses
