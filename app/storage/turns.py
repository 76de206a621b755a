"""Turns: one transaction writes at a time, and none waits long for its turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.storage.errors import KeyTaken
from graphwire.errors import StorageUnavailable

WAIT_S = 2.0


class Turns:
    """Gives turns in the order in which they were asked for."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._refusal: tuple[int, str] = (0, "")

    @asynccontextmanager
    async def next(self) -> AsyncIterator[None]:
        """One turn, for as long as the block lasts. What waits while the database refuses another is refused with it.

        Raises:
            StorageUnavailable: The wait was too long, or the database refused the one before.
        """
        refusals, _ = self._refusal
        try:
            async with asyncio.timeout(WAIT_S):
                await self._turn.acquire()
        except TimeoutError:
            raise StorageUnavailable("The database cannot be used: too many changes wait for it.") from None
        try:
            if self._refusal[0] != refusals:  # while this one waited
                raise StorageUnavailable(self._refusal[1])
            yield
        except KeyTaken:
            raise
        except StorageUnavailable as error:
            self._refusal = (self._refusal[0] + 1, error.detail)
            raise
        finally:
            self._turn.release()
