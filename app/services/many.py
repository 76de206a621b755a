"""Many executions at once: which are meant, and that each is done once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.services.executions import ExecutionService
from app.services.idempotency import Idempotency
from app.storage.repositories.executions import ExecutionQuery
from app.storage.repositories.idempotency import MadeEvent
from graphwire.types import ExecutionId

SEPARATOR = "\n"
"""Between a caller's key, which has no control characters, and the execution that it is used for."""


async def find(executions: ExecutionService, query: ExecutionQuery) -> tuple[Sequence[ExecutionId], bool]:
    """Return the first executions that are meant, at most ``query.limit``, and whether there are more."""
    found: list[ExecutionId] = []
    after: str | None = None
    while True:
        views, after = await executions.list(replace(query, limit=query.limit - len(found), after=after))
        found += [view.id for view in views]
        if after is None or len(found) == query.limit:
            return found, after is not None


def key_of(key: str | None, execution_id: ExecutionId) -> str | None:
    """Return the key under which what is asked of many is done for one of them; None without a key."""
    return None if key is None else f"{key}{SEPARATOR}{execution_id}"


async def done_before(idempotency: Idempotency, key: str | None, fingerprint: bytes) -> Mapping[ExecutionId, MadeEvent]:
    """Return what an earlier request with the same key has done, by execution.

    Raises:
        IdempotencyMismatch: The key came with another request.
    """
    if key is None:
        return {}
    prefix = f"{key}{SEPARATOR}"
    made = await idempotency.made_under(prefix, fingerprint)
    return {ExecutionId(name.removeprefix(prefix)): event for name, event in made.items()}
