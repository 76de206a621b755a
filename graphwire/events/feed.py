"""The asyncio face of a subscription, for readers that are tasks anyway."""

import asyncio

from graphwire.events.hub import Item, Subscription

READ_EVENTS = 1_024


class Feed:
    """Waits for what is next. One reader at a time.

    There is no timer and no lock per event: a read that finds something returns it, and a timer that was armed for
    an earlier read is moved when it fires.
    """

    __slots__ = ("_deadline", "_is_woken", "_timer", "_waiter", "subscription")

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._is_woken = False

    async def read(self, timeout_s: float | None = None, limit: int = READ_EVENTS) -> Item | None:
        """Return the next item; None after ``timeout_s`` seconds without any, and at ``wake``.

        Cancelling a read loses nothing: the cursor moves only when a value is returned. After ``Behind`` the caller
        reads the store and says with ``subscription.advance`` how far it came.

        Args:
            timeout_s: None waits for ever.
            limit: A page has at most so many events. With 0 the subscription is polled with it, and not at each event.

        Raises:
            RuntimeError: Another read is waiting.
        """
        if self._waiter is not None:
            raise RuntimeError("a feed has one reader at a time")
        item = self.subscription.poll(limit)
        if item is not None:
            return item
        loop = asyncio.get_running_loop()
        deadline = None if timeout_s is None else loop.time() + timeout_s
        self._is_woken = False
        while item is None and not self._is_woken and (deadline is None or loop.time() < deadline):
            self._waiter = loop.create_future()
            if limit:
                self.subscription.hub.when_visible(self._look)
            if deadline is not None:
                self._arm(loop, deadline)
            try:
                await self._waiter
            finally:
                self._waiter = None
            item = self.subscription.poll(limit)
        return item

    async def rest(self) -> None:
        """Wait for ``wake`` alone, whatever becomes visible.

        Raises:
            RuntimeError: A read is waiting.
        """
        if self._waiter is not None:
            raise RuntimeError("a feed has one reader at a time")
        self.close()  # else an earlier read's timer or the hub would end it
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        """Let the read or rest that is waiting return; without one it does nothing."""
        self._is_woken = True
        self._look()

    def close(self) -> None:
        """Let go of the hub and of the timer. Idempotent; a waiting read waits on."""
        if self._waiter is None:
            self.subscription.hub.forget(self._look)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _arm(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        self._deadline = deadline
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = loop.call_at(deadline, self._timed_out, loop)

    def _timed_out(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if loop.time() < self._deadline:
            self._timer = loop.call_at(self._deadline, self._timed_out, loop)
        else:
            self._look()
