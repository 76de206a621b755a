"""From a reader to a socket: a subscription's events and notices, until it ends."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from app.services.readers import EventReader
from app.transports.broadcast import Broadcasts
from app.transports.compression import IDENTITY
from app.transports.jsonrpc import TAIL
from app.transports.websocket.form import NotificationForm
from app.transports.websocket.subscriptions import Subscription
from graphwire.clock import Clock
from graphwire.events.feed import READ_EVENTS
from graphwire.events.hub import End, NoticeItem, Page
from graphwire.events.notices import Heartbeat, Notice, StreamClosed, encode_notice as encode_line


class SendTexts(Protocol):
    """See ``SocketProtocol.send_texts``."""

    async def __call__(self, texts: Sequence[bytes], head: bytes = b"", tail: bytes = b"") -> None: ...


async def pump(
    subscription: Subscription,
    send_texts: SendTexts,
    drained: asyncio.Event,
    broadcasts: Broadcasts,
    *,
    heartbeat_s: float,
    clock: Clock,
) -> StreamClosed | None:
    """Send what a reader gives, no more events than it has credit for; return why it ended before its execution.

    As long as it wants everything and is up to date, it is served together with others. Nothing is read while the
    socket takes nothing: what waits for it would be as much as there are subscriptions.
    """
    loop = asyncio.get_running_loop()
    reader = subscription.reader
    form = NotificationForm(subscription.id)
    farewell: StreamClosed | None = None

    async def tell(notice: Notice) -> None:
        line = encode_line(notice, execution_id=reader.execution_id, wall_ns=clock.wall_ns(), after=reader.place)
        if not isinstance(reader, EventReader):
            told = reader.notice(line)
            if told is None:
                return
            line = told.line
        await send_texts([form.text(line)])

    async def shared() -> bool:
        if subscription.credit is not None or not isinstance(reader, EventReader) or not reader.is_unfiltered:
            return False
        outlet = subscription.outlet
        if outlet is None:
            return False
        return await broadcasts.follow(reader, form, IDENTITY, IDENTITY, outlet, heartbeat_s=heartbeat_s)

    due = loop.time() + heartbeat_s
    timeout_s = heartbeat_s
    while True:
        if await shared():
            due = loop.time() + heartbeat_s
        if not drained.is_set():
            await drained.wait()
        limit = READ_EVENTS if subscription.credit is None else min(subscription.credit, READ_EVENTS)
        match await reader.read(timeout_s, limit):
            case Page(items=items) if items:
                if subscription.credit is not None:
                    subscription.credit -= len(items)
                await send_texts([item.line for item in items], form.head, TAIL)
            case NoticeItem(notice=notice):
                await tell(notice)
                if isinstance(notice, StreamClosed):
                    farewell = notice
            case End():
                return farewell
            case _ if loop.time() >= due:
                await tell(Heartbeat())
            case _:  # woken by new credit; or all was left out by the filter, and to the client it is silent still
                timeout_s = max(0.0, due - loop.time())
                continue
        due = loop.time() + heartbeat_s
        timeout_s = heartbeat_s
