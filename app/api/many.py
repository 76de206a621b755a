"""Carrying out for many executions what can be asked of one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

from pydantic import BaseModel
from starlette.requests import Request

from app.api import problems
from app.api.idempotency import fingerprint_of, once_for, size_of
from app.api.schemas.many import Many, ManyItem
from app.services.executions import ExecutionService
from app.services.idempotency import Turn
from app.services.many import done_before, find, key_of
from app.storage.repositories.executions import ExecutionQuery
from app.storage.repositories.idempotency import MadeEvent
from graphwire.errors import GraphwireError
from graphwire.types import ExecutionId

AT_ONCE: Final = 8
"""So many are worked on together, so that they share transactions."""


async def carry_out(
    request: Request,
    executions: ExecutionService,
    key: str | None,
    body: BaseModel,
    query: ExecutionQuery,
    act: Callable[[ExecutionId, Turn], Awaitable[None]],
    shape: Callable[[ExecutionId, MadeEvent], Awaitable[ManyItem]],
) -> Many:
    """Act on each execution for which the conditions hold, once for each under one key.

    Args:
        act: Acts on one, and sets ``Turn.made``.
        shape: Tells what was made for one.

    Raises:
        IdempotencyMismatch: The key came with another request.
        StorageUnavailable: Not now.
    """
    state = request.state
    target, value = f"{request.method} {request.scope['path']}", body.model_dump(exclude_unset=True)
    earlier: Mapping[ExecutionId, MadeEvent] = {}
    if key is not None:
        fingerprint = await fingerprint_of(state.beside, target, value, size_of(request))
        earlier = await done_before(state.idempotency, key, fingerprint)
    found, has_more = await find(executions, query)

    async def item(execution_id: ExecutionId) -> ManyItem:
        own = key_of(key, execution_id)
        try:
            turn_with = once_for(state.idempotency, state.beside, own, target, value, size_of(request))
            async with turn_with as turn:
                if not turn.is_repeated:
                    await act(execution_id, turn)
            return await shape(execution_id, turn.event)
        except GraphwireError as error:
            name = problems.request_id(request)
            told = problems.shown(error, name)
            return ManyItem(execution_id, problem=problems.body_of(told, name, problems.status_of(type(told))))

    items = [await shape(execution_id, made) for execution_id, made in earlier.items()]
    items += await _some_at_once(iter([each for each in found if each not in earlier]), item)
    return Many(items, has_more)


async def _some_at_once(
    ids: Iterator[ExecutionId], item: Callable[[ExecutionId], Awaitable[ManyItem]]
) -> list[ManyItem]:
    done: dict[ExecutionId, ManyItem] = {}
    order: list[ExecutionId] = []

    async def work() -> None:
        for execution_id in ids:
            order.append(execution_id)
            done[execution_id] = await item(execution_id)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return [done[execution_id] for execution_id in order]
