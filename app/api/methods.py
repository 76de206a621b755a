"""The methods of a WebSocket: what each takes, does and answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from msgspec import UNSET

from app.api.commands import COMMANDS, Command
from app.api.errors import NotAvailable
from app.api.forking import answer_of, performing
from app.api.idempotency import checked_key, once_for
from app.api.rpc import Context, Method
from app.api.schemas import answers
from app.api.schemas.forks import Forked, ForkParams, RetryParams
from app.api.schemas.sockets import (
    COMMAND_PARAMS,
    CreditParams,
    Done,
    FilterParams,
    Refiltered,
    ServiceSubscribeParams,
    Started,
    StartParams,
    Subscribed,
    SubscribeParams,
    UnsubscribeParams,
)
from app.storage.repositories.idempotency import MadeEvent
from app.transports.cursor import START, Place, parse_cursor
from app.transports.dialects.opening import Telling, is_end
from graphwire.engine.ports import Claim
from graphwire.engine.runner import Runner
from graphwire.errors import InvalidInput, NotFound, Problem, quoted
from graphwire.events.filters import parse_filter
from graphwire.events.topics import parse_topics
from graphwire.types import ExecutionId, GraphId


async def _start(context: Context, params: StartParams) -> Started:
    """As ``POST /graphs/{graph_id}/execute``, whose key it shares."""
    graph_id = _graph_id(context, params)
    if params.subscribe:
        _require_room(context)
    key = None if params.idempotency_key is None else checked_key(params.idempotency_key)
    target = f"POST /graphs/{graph_id}/execute"
    executions = context.executions
    telling = Telling(context.streams, params.dialect, executions.states)
    reader = None
    async with once_for(context.idempotency, context.beside, key, target, params.body(), context.size) as turn:
        if not turn.is_repeated:
            runner = await executions.start(graph_id, params.wishes(), turn.claim)
            turn.made = MadeEvent(runner.id, 1)
            view = executions.view_live(runner)
            if params.subscribe:
                reader = telling.open(runner.id, runner.hub, place=START, filter=None)
    if turn.is_repeated:
        view = await executions.view(turn.event.execution_id)
        view = replace(view, status="queued" if view.status == "queued" else "running")
        if params.subscribe:
            followed = await executions.follow(turn.event.execution_id)
            reader = telling.open(followed.id, followed.hub, place=START, filter=None)
    subscription = UNSET if reader is None else context.connection.subscribe(reader).id
    return Started(answers.accepted(view), subscription)


def _graph_id(context: Context, params: StartParams) -> GraphId:
    own, named = context.graph_id, params.graph_id
    if own is None and named is None:
        detail = 'the field "graph_id" is missing'
        raise InvalidInput(f"/params/graph_id: {detail}", [Problem("/graph_id", "missing_field", detail)])
    if own is not None and named not in (None, own):
        detail = f"this socket is for the graph {quoted(own)}; leave the field out, or open another socket"
        raise InvalidInput(f"/params/graph_id: {detail}", [Problem("/graph_id", "invalid_value", detail)])
    return GraphId(named or own or "")


async def _subscribe(context: Context, params: SubscribeParams) -> Subscribed:
    _require_room(context)
    place = Place(_place(params.after), 0, goes_on=False)
    followed = await context.executions.follow(ExecutionId(params.execution_id))
    wanted = parse_filter(params.types or (), params.nodes or (), known_nodes=followed.node_ids)
    telling = Telling(context.streams, params.dialect, context.executions.states)
    reader = telling.open(followed.id, followed.hub, place=place, filter=wanted)
    return Subscribed(context.connection.subscribe(reader, params.credit).id, is_end(followed.hub, place))


def _require_room(context: Context) -> None:
    context.connection.subscriptions.require_room()
    context.streams.admit()


def _place(after: Any) -> int | None:
    if after is None:
        return None
    is_number = isinstance(after, int) and not isinstance(after, bool)
    return parse_cursor(None, str(after) if is_number or (isinstance(after, str) and after) else repr(after))


async def _filter(context: Context, params: FilterParams) -> Refiltered:
    subscription = context.connection.subscriptions.get(params.subscription)
    reader = subscription.reader
    if reader.execution_id is None:
        raise NotFound("a subscription to the service has topics, and neither types nor nodes")
    followed = await context.executions.follow(reader.execution_id)
    wanted = parse_filter(params.types or (), params.nodes or (), known_nodes=followed.node_ids)
    return Refiltered(subscription.refilter(wanted))


async def _unsubscribe(context: Context, params: UnsubscribeParams) -> Done:
    await context.connection.unsubscribe(params.subscription)
    return Done()


async def _credit(context: Context, params: CreditParams) -> Done:
    context.connection.subscriptions.get(params.subscription).grant(params.events)
    return Done()


async def _subscribe_to_service(context: Context, params: ServiceSubscribeParams) -> Subscribed:
    _require_room(context)
    wanted = parse_topics(params.topics or ())
    reader = await context.streams.open_service(context.service_log, after=_place(params.after), filter=wanted)
    return Subscribed(context.connection.subscribe(reader).id)


def _method_of(command: Command) -> Method:
    async def perform(context: Context, params: Any) -> answers.Applied:
        if command.effect is None:
            raise NotAvailable(f"the command {command.name} is not there yet")
        execution_id = ExecutionId(params.execution_id)
        key = None if params.idempotency_key is None else checked_key(params.idempotency_key)
        body = params.model_dump(exclude_unset=True, exclude={"execution_id", "idempotency_key"})
        target = command.target(execution_id)
        async with once_for(context.idempotency, context.beside, key, target, body, context.size) as turn:
            if not turn.is_repeated:
                try:
                    seq = await command.perform(context.executions, execution_id, params, turn.claim)
                except InvalidInput as error:
                    if command.member is not None:
                        at = f"/{command.member}"
                        error.problems = tuple(replace(each, pointer=at + each.pointer) for each in error.problems)
                    raise
                turn.made = MadeEvent(execution_id, seq)
        return answers.Applied(turn.event.seq)

    return Method(
        f"execution.{command.name}",
        command.summary,
        COMMAND_PARAMS.get(command.name),
        answers.Applied,
        perform,
        command.effect is not None,
    )


async def _fork(context: Context, params: ForkParams) -> Forked:
    made = partial(context.forks.fork, ExecutionId(params.execution_id), params.wanted())
    return await _forked(context, params, "fork", made)


async def _retry(context: Context, params: RetryParams) -> Forked:
    return await _forked(context, params, "retry", partial(context.forks.retry, ExecutionId(params.execution_id)))


async def _forked(
    context: Context,
    params: ForkParams | RetryParams,
    command: str,
    make: Callable[[Claim | None], Awaitable[Runner]],
) -> Forked:
    """As ``POST /executions/{execution_id}/fork`` and ``…/retry``, whose keys they share."""
    key = None if params.idempotency_key is None else checked_key(params.idempotency_key)
    body = params.model_dump(exclude_unset=True, exclude={"execution_id", "idempotency_key"})
    target = f"POST /executions/{params.execution_id}/{command}"
    async with once_for(context.idempotency, context.beside, key, target, body, context.size) as turn:
        if not turn.is_repeated:
            made = await performing(command, make(turn.claim))
            turn.made = MadeEvent(made.id, 1)
    return await answer_of(context.executions, context.forks, turn)


METHODS: Final[Mapping[str, Method]] = {
    method.name: method
    for method in (
        Method("execution.start", "Start an execution, and follow it.", StartParams, Started, _start),
        Method("execution.subscribe", "Follow an execution from any place.", SubscribeParams, Subscribed, _subscribe),
        Method(
            "execution.filter",
            "Change what a subscription shows, from the event `from_seq` on.",
            FilterParams,
            Refiltered,
            _filter,
        ),
        Method(
            "execution.unsubscribe",
            "End a subscription; none of its events comes after the reply.",
            UnsubscribeParams,
            Done,
            _unsubscribe,
        ),
        Method("stream.credit", "Let a subscription send so many events more.", CreditParams, Done, _credit),
        *(_method_of(command) for command in COMMANDS.values() if command.name not in ("fork", "retry")),
        Method("execution.fork", COMMANDS["fork"].summary, ForkParams, Forked, _fork),
        Method("execution.retry", COMMANDS["retry"].summary, RetryParams, Forked, _retry),
        Method(
            "service.subscribe",
            "Follow what happens in the whole service.",
            ServiceSubscribeParams,
            Subscribed,
            _subscribe_to_service,
        ),
    )
}
