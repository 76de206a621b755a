"""One client's socket: what it asks is done in the order in which it asks, and its subscriptions run beside."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from starlette.types import Message, Receive, Scope, Send

from app.transports.broadcast import Broadcasts
from app.transports.dialects.opening import Told
from app.transports.websocket.protocol import DRAINED, OUTLETS, SEND_TEXTS, SocketOutlet
from app.transports.websocket.pump import SendTexts, pump
from app.transports.websocket.subscriptions import Patience, Subscription, Subscriptions
from graphwire.clock import Clock

SUBPROTOCOL: Final = "graphwire.v1"

COMPLETED: Final = 1000
FAILED: Final = 1011
ABUSED: Final = 1008
RESTARTS: Final = 1012
TRY_LATER: Final = 1013
CODES: Final = {
    "shutting_down": RESTARTS,
    "at_capacity": TRY_LATER,
    "too_slow": TRY_LATER,
    "storage_unavailable": TRY_LATER,
    "unauthorized": 4401,
    "deleted": 4404,
    "history_damaged": FAILED,
}
"""By the ``code`` of the notice ``stream_closed`` that ended the last subscription of a socket for one execution."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes of a message.

    Attributes:
        text: The reply; None for a notification.
        is_bad: The message was none that this protocol knows.
    """

    text: bytes | None
    is_bad: bool = False


Answering: TypeAlias = Callable[["Connection", str | bytes], Awaitable[Answer]]


class Connection:
    """A socket that was accepted.

    Args:
        answer: Carries a message out. What it subscribes to begins when its reply was sent.
        ends: Whether the socket is closed when the last of its subscriptions has ended.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        answer: Answering,
        broadcasts: Broadcasts,
        clock: Clock,
        heartbeat_s: float,
        max_subscriptions: int,
        max_bad_messages: int,
        ends: bool,
    ) -> None:
        self.subscriptions = Subscriptions(max_subscriptions)
        self._receive = receive
        self._send = send
        extensions = scope.get("extensions", {})
        self._send_texts: SendTexts = extensions.get(SEND_TEXTS) or self._send_each
        self._make_outlet: Callable[[], SocketOutlet] | None = extensions.get(OUTLETS)
        self._drained: asyncio.Event = extensions.get(DRAINED) or _always()
        self._answer = answer
        self._broadcasts = broadcasts
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._patience = Patience(max_bad_messages)
        self._ends = ends
        self._new: list[Subscription] = []
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()
        self._is_open = False
        self._is_answering = False
        self._is_draining = False
        self._last: tuple[int, str] | None = None

    async def serve(self) -> None:
        """Serve until either side closes. Every reader is closed then, whatever ended it."""
        loop = asyncio.get_running_loop()
        try:
            async with self._group:
                self._is_open = True
                self._start_new()
                self._close_if_idle()
                while (message := await self._receive())["type"] == "websocket.receive":
                    if not self._is_open:
                        continue  # it comes behind the close, so nothing is carried out
                    if await self._reply(message) and self._patience.is_over(loop.time()):
                        await self.close(ABUSED, "too many bad messages")
                        break
                self._is_open = False
                for running in self._pumps.values():
                    running.cancel()
        finally:
            for subscription in self._new:
                subscription.reader.close()

    def subscribe(self, reader: Told, credit: int | None = None) -> Subscription:
        """Take a reader over. It is read when the reply to the message that is being answered was sent."""
        if not self._is_draining:
            self._last = None
        made = self.subscriptions.add(reader, credit)
        made.outlet = self._make_outlet() if self._make_outlet is not None else None
        self._new.append(made)
        return made

    async def unsubscribe(self, id: str) -> None:
        """End a subscription: nothing more is sent for it.

        Raises:
            NotFound: There is none with this name, or it has ended.
        """
        self.subscriptions.get(id)
        self.subscriptions.remove(id)
        running = self._pumps[id]
        running.cancel()
        await asyncio.wait([running])

    def drain(self) -> None:
        """Close when the subscriptions, whose readers are told too, have ended. Idempotent."""
        self._is_draining = True
        self._last = RESTARTS, "shutting_down"
        self._close_if_idle()

    async def close(self, code: int, reason: str = "") -> None:
        """Say that the socket closes; the client answers it."""
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except OSError:  # it has left
            return

    async def _reply(self, message: Message) -> bool:
        """Carry a message out; whether it was a bad one."""
        text = message.get("text")
        self._is_answering = True
        answer = await self._answer(self, message["bytes"] if text is None else text)
        try:
            if answer.text is not None:
                await self._send_texts([answer.text])
        except OSError:
            return False  # it has left, as the next message says
        self._is_answering = False
        self._start_new()
        self._close_if_idle()
        return answer.is_bad

    def _start_new(self) -> None:
        for subscription in self._new:
            running = self._group.create_task(self._run(subscription), name=f"subscription:{subscription.id}")
            self._pumps[subscription.id] = running
            # Not in the task itself: one that is cancelled before its first step never gets there.
            running.add_done_callback(lambda _, each=subscription: self._ended(each))  # type: ignore[misc]
        self._new.clear()

    async def _run(self, subscription: Subscription) -> None:
        try:
            farewell = await pump(
                subscription,
                self._send_texts,
                self._drained,
                self._broadcasts,
                heartbeat_s=self._heartbeat_s,
                clock=self._clock,
            )
        except OSError:
            return
        self.subscriptions.remove(subscription.id)
        if self._ends and not self.subscriptions and not self._is_draining:
            self._last = (COMPLETED, "") if farewell is None else (CODES[farewell.reason], farewell.reason)
        self._close_if_idle()

    def _ended(self, subscription: Subscription) -> None:
        self.subscriptions.remove(subscription.id)
        del self._pumps[subscription.id]
        subscription.reader.close()

    def _close_if_idle(self) -> None:
        """Close where that was decided, when nothing is followed and no request is being answered any more."""
        if self._is_open and self._last is not None and not self.subscriptions and not self._is_answering:
            self._is_open = False
            self._group.create_task(self.close(*self._last), name="closing")

    async def _send_each(self, texts: Sequence[bytes], head: bytes = b"", tail: bytes = b"") -> None:
        for text in texts:
            await self._send({"type": "websocket.send", "text": (head + text + tail).decode()})


def _always() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
