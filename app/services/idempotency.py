"""Doing once what is asked for several times under one key."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from app.services.errors import IdempotencyMismatch
from app.storage.repositories.idempotency import IdempotencyRepository, MadeEvent, MadeVersion
from graphwire.clock import Clock, utc
from graphwire.engine.ports import Claim
from graphwire.errors import AtCapacity, GraphwireError, ShuttingDown, StorageUnavailable

Made: TypeAlias = MadeEvent | MadeVersion


@dataclass(slots=True)
class Turn:
    """One request's turn with its key.

    Attributes:
        claim: To be stored with what is made; None without a key, and where it was made before.
        made: What was made before; else to be set by whoever makes it.
        is_repeated: Whether it was made before.
    """

    claim: Claim | None = None
    made: Made | None = None
    is_repeated: bool = False

    @property
    def event(self) -> MadeEvent:
        """What was made by a start or a command."""
        assert isinstance(self.made, MadeEvent), "a fingerprint holds the route, so the kind is known"
        return self.made

    @property
    def version(self) -> MadeVersion:
        """What was made by storing a graph."""
        assert isinstance(self.made, MadeVersion), "a fingerprint holds the route, so the kind is known"
        return self.made


@dataclass(slots=True)
class _Doing:
    """A key whose first request is being answered; ``refusal`` is why the rest need not try."""

    fingerprint: bytes
    over: asyncio.Event = field(default_factory=asyncio.Event)
    made: Made | None = None
    refusal: GraphwireError | None = None


class Idempotency:
    """Gives each request with a key its turn.

    Args:
        ttl_s: How long a key stands for what it made.
    """

    def __init__(self, repository: IdempotencyRepository, clock: Clock, *, ttl_s: float) -> None:
        self._repository = repository
        self._clock = clock
        self._ttl = timedelta(seconds=ttl_s)
        self._doing: dict[str, _Doing] = {}

    @asynccontextmanager
    async def once(self, key: str, fingerprint: bytes) -> AsyncIterator[Turn]:
        """Wait for this request's turn, and let the others wait until the block is left.

        Whoever sets ``Turn.made`` has stored the turn's claim with it. Without that the key is not used up, and those
        that wait try in turn; what is refused only for now is refused to all of them alike.

        Raises:
            IdempotencyMismatch: The key stands, or is about to stand, for something else.
            StorageUnavailable: The key cannot be looked up now.
        """
        made = await self._made_meanwhile(key, fingerprint)
        if made is not None:
            yield Turn(made=made, is_repeated=True)
            return
        doing = self._doing[key] = _Doing(fingerprint)
        try:
            turn = await self._look_up(key, fingerprint)
            doing.made = turn.made
            yield turn
            doing.made = turn.made
        except (AtCapacity, ShuttingDown, StorageUnavailable) as error:
            doing.refusal = error
            raise
        finally:
            del self._doing[key]
            doing.over.set()

    async def made_under(self, prefix: str, fingerprint: bytes) -> Mapping[str, MadeEvent]:
        """Return the events that were made under keys that begin so.

        Raises:
            IdempotencyMismatch: One of the keys came with another request.
        """
        kept = await self._repository.beginning(prefix, now=utc(self._clock.wall_ns()))
        for each in kept.values():
            _require_same(each.fingerprint, fingerprint)
        return {key: each.made for key, each in kept.items() if isinstance(each.made, MadeEvent)}

    async def _made_meanwhile(self, key: str, fingerprint: bytes) -> Made | None:
        """Wait for whoever is first with this key; None where nobody is."""
        while (first := self._doing.get(key)) is not None:
            _require_same(first.fingerprint, fingerprint)
            await first.over.wait()
            if first.made is not None:
                return first.made
            if first.refusal is not None:
                raise first.refusal
        return None

    async def _look_up(self, key: str, fingerprint: bytes) -> Turn:
        now = utc(self._clock.wall_ns())
        kept = await self._repository.get(key, now=now)
        if kept is not None:
            _require_same(kept.fingerprint, fingerprint)
            return Turn(made=kept.made, is_repeated=True)
        return Turn(Claim(key, fingerprint, now, now + self._ttl))


def _require_same(known: bytes, asked: bytes) -> None:
    if known != asked:
        raise IdempotencyMismatch("this Idempotency-Key came with another request before; take a new one")
