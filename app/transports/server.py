"""The HTTP server: Uvicorn, with clients that do not read cut off, and streams ended before the wait at shutdown."""

import asyncio
import logging
import signal
import socket
import struct
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.transports.heads import BoundedHeads
from app.transports.sending import AFTERWARDS, Rest

log = logging.getLogger(__name__)

NOTSENT_LOWAT_BYTES = 16 * 1024
LINGER_BYTES = 64 * 1024
LINGER_S = 2.0
"""What is still read of a body that the answer did not wait for: closing at once could take the answer with it."""

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
_TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # Linux's number; Python names it from 3.12 on


class StreamProtocol(BoundedHeads):
    """One connection that costs a bounded amount of memory and time, whatever its client does.

    A write waits until the one before it left for the kernel, so a client that reads nothing costs its socket's
    buffer and one write. If a write has not left after ``write_timeout_s``, the connection is aborted: a notice
    could only follow the bytes that are stuck, so none is tried.

    A request that is answered before its body has ended is the last one of its connection.
    """

    write_timeout_s: float = 30.0
    _stuck: asyncio.TimerHandle | None = None
    _lingering: asyncio.TimerHandle | None = None
    _linger_bytes: int = LINGER_BYTES

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as Uvicorn's own
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            _keep_unsent_small(connection)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(self.write_timeout_s, self._cut)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._relax()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relax()
        if self._lingering is not None:
            self._lingering.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingering is None:
            super().data_received(data)
            return
        self._linger_bytes -= len(data)
        if self._linger_bytes < 0:
            self.transport.close()

    def on_response_complete(self) -> None:
        if self._lingering is not None:
            self.pipeline.clear()  # there is no way out for an answer any more
        super().on_response_complete()
        if self._lingering is not None:
            self._unset_keepalive_if_required()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, cast("Any", self._closing(cycle, app)))

    def _closing(self, cycle: RequestResponseCycle, app: ASGIApp) -> ASGIApp:
        """Have an answer that does not wait for the end of its request's body say that the connection closes.

        What the application leaves to be sent is sent when it has returned.
        """

        async def closing(scope: Scope, receive: Receive, send: Send) -> None:
            rest: list[Rest] = []
            scope["extensions"] = {AFTERWARDS: rest.append}

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start" and cycle.more_body:
                    cycle.keep_alive = False
                    cycle.transport = cast("asyncio.Transport", _Unfinished(self.transport, self._linger))
                await send(message)

            await app(scope, receive, noted)
            try:
                for stream in rest:
                    await stream(send)
            except Exception:  # border: the top of a stream
                log.exception("a stream failed")
                cycle.disconnected = True
                self.transport.close()  # half a stream must not look whole

        return closing

    def _end(self) -> None:
        self._linger()

    def _linger(self) -> None:
        """Close the way out; the way in is closed when the client has done so, or after a little more."""
        if self._lingering is None and not self.transport.is_closing():
            self._lingering = self.loop.call_later(LINGER_S, self.transport.close)
            if self.transport.can_write_eof():
                self.transport.write_eof()

    def _relax(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _cut(self) -> None:
        self._stuck = None
        log.info("cut a client that read nothing for %.0f s (too_slow)", self.write_timeout_s)
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            # With a reset: the kernel would go on holding what is stuck, for a peer that may be gone.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self.transport.abort()


class _Unfinished:
    """A transport as an answer sees it whose request has not ended."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


def _keep_unsent_small(connection: socket.socket) -> None:
    """Let the kernel take no more than it can soon send: else a stalled client holds megabytes before it is noticed."""
    try:
        connection.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)
    except OSError:  # not every platform has it
        log.debug("TCP_NOTSENT_LOWAT is not available")


def protocol(write_timeout_s: float) -> type[StreamProtocol]:
    """Return the protocol class with this time limit; Uvicorn makes one per connection."""
    return type("StreamProtocol", (StreamProtocol,), {"write_timeout_s": write_timeout_s})


class StreamServer(Server):
    """Uvicorn's server, which tells streams to end before it waits for them.

    Args:
        drain: Called once when the server is told to stop, on its loop.
        ready: Called with the server's address when it serves.
    """

    def __init__(
        self, config: Config, *, drain: Callable[[], None], ready: Callable[[str, int], None] | None = None
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._ready = ready

    @property
    def port(self) -> int:
        """The port that is listened on; known once the server has started."""
        return int(self.servers[0].sockets[0].getsockname()[1])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready(self.config.host, self.port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._drain()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; when told so again, at once."""
        if self.should_exit:
            self.force_exit = True
        super().handle_exit(sig, frame)
        if sig == signal.SIGTERM and not self.force_exit:
            # Uvicorn would raise it again when all is done: who stops as told has not failed.
            self._captured_signals.remove(sig)
