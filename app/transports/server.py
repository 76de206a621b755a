"""The HTTP server: Uvicorn, with clients that do not read cut off, and streams ended before the wait at shutdown."""

import asyncio
import logging
import signal
import socket
import struct
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.transports.broadcast import OUTLET
from app.transports.peers import keep_unsent_small, let_go_when_silent
from app.transports.sending import AFTERWARDS, Rest
from app.transports.websocket.protocol import SocketBounds
from app.transports.websocket.upgrading import Upgrading

log = logging.getLogger(__name__)

LINGER_BYTES = 64 * 1024
LINGER_S = 2.0
"""What is still read of a body that the answer did not wait for: closing at once could take the answer with it."""

_QUARTER = 0.25
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class StreamProtocol(Upgrading):
    """One connection that costs a bounded amount of memory and time, whatever its client does.

    A write waits until the one before it left for the kernel, so a client that reads nothing costs its socket's
    buffer and one write. If a write has not left after ``write_timeout_s``, the connection is aborted: a notice
    could only follow the bytes that are stuck, so none is tried.

    A stream whose peer acknowledges nothing for ``silence_s`` is lost, so that a machine which is gone holds nothing
    for longer than its next heartbeat and that time.

    A request that is answered before its body has ended is the last one of its connection.
    """

    write_timeout_s: float = 30.0
    stopped: Callable[[], None] | None = None
    """Called when whoever writes past the application has to stop; see ``Outlet``."""
    silence_s: float = 15.0
    _is_stalled = False
    _stuck: asyncio.TimerHandle | None = None
    _lingering: asyncio.TimerHandle | None = None
    _linger_bytes: int = LINGER_BYTES

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as Uvicorn's own
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)
        keep_unsent_small(transport.get_extra_info("socket"))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop()
        if self._stuck is None:
            self._stuck = self.loop.call_later(self.write_timeout_s * _QUARTER, self._stall)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._relax()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
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
            is_old, unbounded = scope["http_version"] == "1.0", False
            scope["extensions"] = {AFTERWARDS: rest.append, OUTLET: Outlet(self, cycle)}

            async def noted(message: Message) -> None:
                nonlocal unbounded
                if message["type"] == "http.response.start" and cycle.more_body:
                    cycle.keep_alive = False
                    cycle.transport = cast("asyncio.Transport", _Unfinished(self.transport, self._linger))
                if is_old and message["type"] == "http.response.start":
                    unbounded = not any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
                    if unbounded:
                        cycle.chunked_encoding = False  # it knows none (RFC 9112 §6.1): the connection ends the answer
                elif unbounded:
                    cycle.expected_content_length = len(message.get("body", b""))
                await send(message)

            await app(scope, receive, noted)
            try:
                for stream in rest:
                    let_go_when_silent(self.transport.get_extra_info("socket"), self.silence_s)
                    await stream(noted if is_old else send)
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

    def _stop(self) -> None:
        stopped, self.stopped = self.stopped, None
        if stopped is not None:
            stopped()

    def _relax(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        if self._is_stalled:
            self._is_stalled = False
            let_go_when_silent(self.transport.get_extra_info("socket"), self.silence_s)

    def _stall(self) -> None:
        """Take it from the kernel to say how long a client may not read: to it that is silence like any other."""
        self._is_stalled = True
        let_go_when_silent(self.transport.get_extra_info("socket"), None)
        self._stuck = self.loop.call_later(self.write_timeout_s * (1 - _QUARTER), self._cut)

    def _cut(self) -> None:
        self._stuck = None
        log.info("cut a client that read nothing for %.0f s (too_slow)", self.write_timeout_s)
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            # With a reset: the kernel would go on holding what is stuck, for a peer that may be gone.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self.transport.abort()


class Outlet:
    """The way to the client of one answer, past the task that answers; see ``app.transports.broadcast``.

    Attributes:
        written_bytes: What went this way, without the framing of chunks.
    """

    __slots__ = ("_cycle", "_protocol", "written_bytes")

    def __init__(self, protocol: StreamProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle
        self.written_bytes = 0

    def open(self, stopped: Callable[[], None]) -> Callable[[bytes], None] | None:
        """Return what writes finished chunks; None while the connection takes none."""
        protocol, cycle = self._protocol, self._cycle
        if cycle.disconnected or not cycle.chunked_encoding or protocol.flow.write_paused:
            return None
        protocol.stopped = stopped
        return protocol.transport.write

    def close(self, written_bytes: int) -> None:
        """Say that nothing is written past the task any more, and how much was."""
        self._protocol.stopped = None
        self.written_bytes += written_bytes


class _Unfinished:
    """A transport as an answer sees it whose request has not ended."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


def protocol(
    write_timeout_s: float,
    silence_s: float,
    *,
    is_socket: Callable[[str], bool] = lambda path: False,
    socket_bounds: SocketBounds | None = None,
) -> type[StreamProtocol]:
    """Return the protocol class with these limits; Uvicorn makes one per connection.

    Args:
        is_socket: Whether a path is a WebSocket's.
    """
    members = {
        "write_timeout_s": write_timeout_s,
        "silence_s": silence_s,
        "is_socket": staticmethod(is_socket),
        "socket_bounds": socket_bounds or SocketBounds(write_timeout_s=write_timeout_s),
    }
    return type("StreamProtocol", (StreamProtocol,), members)


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
        self._starting: asyncio.Task[Any] | None = None
        self._ready = ready

    @property
    def port(self) -> int:
        """The port that is listened on; known once the server has started."""
        return int(self.servers[0].sockets[0].getsockname()[1])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._starting = asyncio.current_task()
        try:
            await super().startup(sockets)
        except asyncio.CancelledError:
            if self.force_exit:
                sys.exit(STARTUP_FAILURE)
            raise
        finally:
            self._starting = None
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
        if self.force_exit and self._starting is not None:  # undo what was begun, however long the rest would take
            self._captured_signals.clear()  # raised again they would end the process before
            self._starting.get_loop().call_soon_threadsafe(self._starting.cancel)
            return
        if sig == signal.SIGTERM and not self.force_exit:
            # Uvicorn would raise it again when all is done: who stops as told has not failed.
            self._captured_signals.remove(sig)
