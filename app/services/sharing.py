"""Looking something up once for all who ask for it at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LookUps(Generic[K, V]):
    """Look-ups under way. Nothing is kept once one is answered: who asks later finds what is there then."""

    def __init__(self) -> None:
        self._under_way: dict[K, asyncio.Future[V]] = {}

    def __len__(self) -> int:
        """Return how many are under way."""
        return len(self._under_way)

    async def get(self, key: K, look: Callable[[], Awaitable[V]]) -> V:
        """Return what ``look`` finds, or what somebody else finds who looks for the same already.

        A failure is that of all who waited for it. Where the one who looks is cancelled, another of them looks.
        """
        while (answer := self._under_way.get(key)) is not None:
            await asyncio.wait([answer])
            if not answer.cancelled():
                return _result(answer)
        answer = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            found = await look()
        except Exception as error:
            answer.set_exception(error)
            answer.exception()  # whether anybody else waited for it or not
            raise
        else:
            answer.set_result(found)
            return found
        finally:
            del self._under_way[key]
            answer.cancel()  # without effect where there is an answer


def _result(answer: "asyncio.Future[V]") -> V:
    error = answer.exception()
    if error is not None:
        raise error.with_traceback(None)  # which would grow with each who raises it
    return answer.result()
