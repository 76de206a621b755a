"""All sinks of a program: added, removed, given what is followed, and finished at the end."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from graphwire.events.filters import Filter
from graphwire.events.hub import Hub
from graphwire.sinks.delivery import Delivery, Opener
from graphwire.sinks.port import Sink, SinkReport, SinkTrouble

log = logging.getLogger(__name__)


class Sinks:
    """Delivers what is followed to every sink. An async context; leaving it gives the sinks what is left.

    Without a sink, following costs nothing. One that fails or hangs holds up neither the others nor an execution.

    Args:
        sinks: Added with the default options.
        told: Called with troubles of a sink, besides the log.
        stop_s: How long leaving waits for sinks that are behind.
    """

    def __init__(
        self,
        sinks: Iterable[Sink] = (),
        *,
        told: Callable[[SinkTrouble], None] | None = None,
        stop_s: float = 5.0,
    ) -> None:
        self._first = tuple(sinks)
        self._tell = told
        self._stop_s = stop_s
        self._deliveries: dict[str, tuple[Delivery, asyncio.Task[None]]] = {}

    async def __aenter__(self) -> Self:
        for sink in self._first:
            self.add(sink)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        async with asyncio.TaskGroup() as group:
            for name in list(self._deliveries):
                group.create_task(self.remove(name))

    def add(
        self,
        sink: Sink,
        *,
        filter: Filter | None = None,
        retries: int = 2,
        retry_s: float = 0.1,
        switched_off_after: int | None = None,
    ) -> str:
        """Give a sink everything that is followed from now on; return the name under which it is known.

        Args:
            filter: What it wants to see; everything by default.
            retries: How often a call that failed is repeated before its events are counted as failed.
            retry_s: How long to wait before the first repetition; then twice as long each time.
            switched_off_after: Failures in a row after which it is given nothing any more; None keeps trying.
        """
        name = self._free_name(sink.name)
        delivery = Delivery(
            sink,
            name,
            filter=filter,
            retries=retries,
            retry_s=retry_s,
            switched_off_after=switched_off_after,
            told=self._heard,
        )
        task = asyncio.get_running_loop().create_task(_guarded(delivery), name=f"sink:{name}")
        self._deliveries[name] = delivery, task
        return name

    async def remove(self, name: str) -> None:
        """Give a sink what is left, as far as the time goes, close it and forget it.

        Raises:
            KeyError: There is no sink of this name.
        """
        delivery, task = self._deliveries[name]
        left = await delivery.finish(self._stop_s)
        task.cancel()
        await asyncio.wait([task])
        if left:
            log.warning("the sink %s did not get the last %d events", name, left)
        await delivery.close(self._stop_s)
        del self._deliveries[name]

    def follow(self, hub: Hub, open: Opener, *, after: int = 0) -> None:
        """Deliver a history to every sink, from behind ``after`` to its end."""
        for delivery, _ in self._deliveries.values():
            delivery.follow(hub, open, after)

    async def flush(self, timeout_s: float) -> int:
        """Wait until every sink has what may be told by now; return how many events are still waiting then."""
        left = await asyncio.gather(*(delivery.finish(timeout_s) for delivery, _ in self._deliveries.values()))
        return sum(left)

    def reports(self) -> list[SinkReport]:
        """Return how each sink fares, in the order in which they were added."""
        return [delivery.report() for delivery, _ in self._deliveries.values()]

    def _free_name(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self._deliveries:
            name, number = f"{wanted}-{number}", number + 1
        return name

    def _heard(self, trouble: SinkTrouble) -> None:
        log.warning("the sink %s: %s (%s, %d)", trouble.name, trouble.detail, trouble.kind, trouble.count)
        if self._tell is not None:
            self._tell(trouble)


async def _guarded(delivery: Delivery) -> None:
    try:
        await delivery.run()
    except Exception as error:  # border: the top of a task
        log.exception("the delivery to the sink %s broke", delivery.name)
        delivery.broke(error)
