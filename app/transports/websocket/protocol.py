"""One WebSocket on the wire: frames by the library ``websockets``, flow and time limits here, ASGI above.

Uvicorn's own two classes would do for few sockets: one stands on the deprecated part of ``websockets``, with five
tasks for each connection, the other decodes each fragment of a text by itself; neither writes several frames at once.
"""

import asyncio
import logging
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

from starlette.types import ASGIApp, Message, Scope
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State

from app.transports.websocket.handshake import Opening
from app.transports.websocket.messages import Messages, text_frame

log = logging.getLogger(__name__)

SEND_TEXTS: Final = "graphwire.texts"
"""An extension of the server's: ``await scope["extensions"][SEND_TEXTS](texts, head, tail)`` sends each text, in
UTF-8, between head and tail as a message of its own, all of them in one write."""
DRAINED: Final = "graphwire.drained"
"""An extension of the server's: an ``asyncio.Event`` that is set while nothing waits to be sent."""

OUTLETS: Final = "graphwire.outlets"
"""Another one: ``scope["extensions"][OUTLETS]()`` makes a ``SocketOutlet``."""

_SLICE_BYTES = 4_096
"""So much is parsed in one turn of the loop: some 700 of the smallest frames, 4 ms."""
_MAX_AHEAD_BYTES = 64 * 1024
_CLOSE_S = 5.0
_SHUTDOWN_CLOSE_S = 1.0
LAST_WORD_S = 2.0
"""In which a client that was cut, since it did not read, can still read why."""
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketBounds:
    """What bounds a socket in size and time."""

    max_message_bytes: int = 1024 * 1024
    write_timeout_s: float = 30.0
    ping_s: float = 20.0
    pong_s: float = 10.0


class ClientLeftError(OSError):
    """There is nobody any more to send to."""


class SocketProtocol(asyncio.Protocol):
    """A connection that asks to become a WebSocket, from its handshake to its end.

    It costs a bounded amount of memory, whatever its client does: nothing is written before what was written earlier
    has left for the kernel; nothing is read while the application has a message to take, or an answer cannot leave.
    """

    def __init__(
        self,
        opening: Opening,
        scope: Scope,
        app: ASGIApp,
        *,
        bounds: SocketBounds,
        connections: set[Any],
        tasks: set[asyncio.Task[None]],
        headers: Sequence[tuple[bytes, bytes]],
    ) -> None:
        """Make the protocol of a connection.

        Args:
            connections: Those of the server, which waits for them when it stops.
            tasks: Likewise.
            headers: Those of every answer.
        """
        self._opening = opening
        self._protocol = opening.protocol
        self._app = app
        self._bounds = bounds
        self._connections = connections
        self._tasks = tasks
        self._headers = headers
        self._loop = asyncio.get_running_loop()
        self._unread = bytearray()
        self._messages = Messages()
        self._received: deque[Message] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._turn = asyncio.Lock()
        self._outlets: set[SocketOutlet] = set()
        self._drained = asyncio.Event()
        self._drained.set()
        self._scope: Scope = {
            **scope,
            "extensions": {
                "websocket.http.response": {},
                SEND_TEXTS: self.send_texts,
                DRAINED: self._drained,
                OUTLETS: lambda: SocketOutlet(self),
            },
        }
        self._denial: Message | None = None
        self._denial_body = b""
        self._is_told = self._is_answered = self._is_open = False
        self._is_reading = True
        self._is_heard = False
        self._gone: int | None = None
        self._parsing: asyncio.Handle | None = None
        self._pinging: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._close_s = _CLOSE_S

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._connections.add(self)
        task = self._loop.create_task(self._run(), name="websocket")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def data_received(self, data: bytes) -> None:
        self._is_heard = True
        self._unread += data
        self._parse()

    def eof_received(self) -> None:
        """Let the transport close itself."""
        if self._is_answered:
            self._protocol.receive_eof()
            self._flush()
            self._end(self._close_code)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._unread.clear()  # nothing can be answered any more
        if self._is_answered:
            self._protocol.receive_eof()
        self._end(self._close_code)
        for timer in (self._parsing, self._pinging, self._stuck, self._closing):
            if timer is not None:
                timer.cancel()

    def pause_writing(self) -> None:
        self._drained.clear()
        self._stop_outlets()
        if self._stuck is None:
            self._stuck = self._loop.call_later(self._bounds.write_timeout_s, self._cut)

    def resume_writing(self) -> None:
        self._is_heard = True  # the kernel takes more: the other side has taken something
        self._drained.set()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        self._parse()

    def shutdown(self) -> None:
        """Be quick to close: the server stops. The application, which was told too, says so to the client."""
        self._close_s = _SHUTDOWN_CLOSE_S
        if self._closing is not None:
            self._closing.cancel()
            self._closing = self._loop.call_later(self._close_s, self.transport.abort)

    # What the application calls.

    async def receive(self) -> Message:
        """Return the next message, as ASGI has it."""
        if not self._is_told:
            self._is_told = True
            return {"type": "websocket.connect"}
        while not self._received and self._gone is None:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if not self._received:
            return {"type": "websocket.disconnect", "code": self._gone, "reason": ""}
        message = self._received.popleft()
        self._parse_soon()
        return message

    async def send(self, message: Message) -> None:
        """Send a message, as ASGI has it.

        Raises:
            ClientLeftError: The connection has ended.
        """
        match message["type"]:
            case "websocket.accept":
                self._accept(message)
            case "websocket.send" if message.get("text") is not None:
                await self.send_texts([message["text"].encode()])
            case "websocket.send":
                await self._send_binary(message["bytes"])
            case "websocket.close" if self._is_answered:
                self._close(message.get("code", 1000), message.get("reason") or "")
            case "websocket.close":
                self._deny(403, [(b"content-length", b"0")], b"")
            case "websocket.http.response.start":
                self._denial = message
            case "websocket.http.response.body":
                self._denial_body += message.get("body", b"")
                if not message.get("more_body", False):
                    assert self._denial is not None
                    self._deny(self._denial["status"], self._denial["headers"], self._denial_body)
            case other:
                raise RuntimeError(f"unexpected ASGI message {other!r}")

    async def send_texts(self, texts: Sequence[bytes], head: bytes = b"", tail: bytes = b"") -> None:
        """Send each text, in UTF-8, between head and tail as a message of its own, all of them in one write.

        The messages are made when there is room for them. Raises as ``send``.
        """
        if self._drained.is_set() and not self._turn.locked():
            self._put_texts(texts, head, tail)
            return
        async with self._turn:
            await self._drained.wait()
            self._put_texts(texts, head, tail)

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self.receive, self.send)
        except ClientLeftError:
            pass
        except Exception:  # border: the top of a socket
            log.exception("a WebSocket failed")
        finally:
            if self._is_answered:
                self._close(CloseCode.INTERNAL_ERROR, "")
            elif self._closing is None:  # else it was denied, and the client closes when it has read that
                self.transport.close()
            self._received.clear()
            self._end(CloseCode.ABNORMAL_CLOSURE)
            self._parse_soon()

    # The handshake.

    def _accept(self, message: Message) -> None:
        if self._gone is not None:
            raise ClientLeftError
        response = self._opening.response
        if message.get("subprotocol"):
            response.headers["Sec-WebSocket-Protocol"] = message["subprotocol"]
        for name, value in message.get("headers", ()):
            response.headers[name.decode("latin-1")] = value.decode("latin-1")
        self._protocol.send_response(response)
        self._is_answered = self._is_open = True
        self._flush()
        self._pinging = self._loop.call_later(self._bounds.ping_s, self._ping)
        self._parse()

    def _deny(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
        lines += [name + b": " + value for name, value in (*self._headers, *headers, (b"connection", b"close"))]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self._end(CloseCode.ABNORMAL_CLOSURE)
        self._closing = self._loop.call_later(self._close_s, self.transport.abort)
        self._half_close()

    # Reading.

    def _parse_soon(self) -> None:
        if self._parsing is None and self._unread:
            self._parsing = self._loop.call_soon(self._parse)
        elif not self._unread:
            self._read(True)

    def _parse(self) -> None:
        """Parse a slice of what came, where somebody takes what is in it and an answer can leave."""
        self._parsing = None
        if not self._is_answered:
            if self._gone is not None:
                self._unread.clear()
            self._read(len(self._unread) <= _MAX_AHEAD_BYTES)
            return
        if self._received or not self._drained.is_set():
            self._read(not self._unread)
            return
        piece = bytes(self._unread[:_SLICE_BYTES])
        del self._unread[:_SLICE_BYTES]
        if piece:
            self._protocol.receive_data(piece)
            self._take_frames()
            self._flush()
        self._read(not self._unread)
        if not self._received:
            self._parse_soon()

    def _take_frames(self) -> None:
        for frame in self._protocol.events_received():
            assert isinstance(frame, Frame), "the handshake is over"
            if frame.opcode is Opcode.CLOSE:
                assert self._protocol.close_rcvd is not None
                self._end(self._protocol.close_rcvd.code)
            elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) and self._gone is None:
                try:
                    message = self._messages.add(frame)
                except UnicodeDecodeError:
                    self._protocol.fail(CloseCode.INVALID_DATA, "the text is no UTF-8")
                    return
                if message is not None:
                    kind = "text" if isinstance(message, str) else "bytes"
                    self._received.append({"type": "websocket.receive", kind: message})
                    self._wake()

    def _read(self, wanted: bool) -> None:
        if wanted is not self._is_reading and not self.transport.is_closing():
            self._is_reading = wanted
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    # Writing.

    def _put_texts(self, texts: Sequence[bytes], head: bytes, tail: bytes) -> None:
        if not self._is_open:
            raise ClientLeftError
        if head:
            texts = [b"".join((head, text, tail)) for text in texts]
        if self._protocol.extensions:
            for text in texts:
                self._protocol.send_text(text)
            self.transport.write(b"".join(self._protocol.data_to_send()))
        elif len(texts) == 1:
            self.transport.write(text_frame(texts[0]))
        else:
            self.transport.write(b"".join([text_frame(text) for text in texts]))

    def open_outlet(self, outlet: "SocketOutlet") -> Callable[[bytes], None] | None:
        """Return what writes frames that are finished, until it is stopped; None while none can leave."""
        if not self._is_open or self._protocol.extensions or not self._drained.is_set() or self._turn.locked():
            return None
        self._outlets.add(outlet)
        return self.transport.write

    def close_outlet(self, outlet: "SocketOutlet") -> None:
        """Say that nothing is written to it any more. Idempotent."""
        self._outlets.discard(outlet)

    def _stop_outlets(self) -> None:
        for outlet in list(self._outlets):
            outlet.stop()

    async def _send_binary(self, data: bytes) -> None:
        async with self._turn:
            await self._drained.wait()
            if not self._is_open:
                raise ClientLeftError
            self._protocol.send_binary(data)
            self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.transport.write(data)
            else:
                self._half_close()
        if self._protocol.close_expected() and self._closing is None:
            self._is_open = False
            self._stop_outlets()
            self._closing = self._loop.call_later(self._close_s, self.transport.abort)
            if self._protocol.close_sent is not None and self._protocol.eof_sent:
                self._end(self._protocol.close_sent.code)

    def _half_close(self) -> None:
        """Close the way out: closing at once could take the last frame with it, where more comes in meanwhile."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    # The end.

    def _close(self, code: int, reason: str) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._flush()

    @property
    def _close_code(self) -> int:
        """What the client's close frame said."""
        received = self._protocol.close_rcvd
        return CloseCode.ABNORMAL_CLOSURE if received is None else received.code

    def _end(self, code: int) -> None:
        """Nothing more is sent, and what was received is the last."""
        if self._gone is None:
            self._gone = code
            self._is_open = False
            self._stop_outlets()
            self._drained.set()
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _cut(self) -> None:
        """End a client that does not read. It is told so where it begins to read within two seconds."""
        self._stuck = None
        log.info("cut a WebSocket that read nothing for %.0f s (too_slow)", self._bounds.write_timeout_s)
        if self._is_answered and self._protocol.state is not State.CLOSED:
            self._protocol.fail(CloseCode.TRY_AGAIN_LATER, "too_slow")
        if self._closing is not None:
            self._closing.cancel()
        if self._pinging is not None:
            self._pinging.cancel()
        self._closing = self._loop.call_later(LAST_WORD_S, self._reset)
        self._flush()
        self._end(CloseCode.TRY_AGAIN_LATER)

    def _ping(self) -> None:
        if self._protocol.state is State.OPEN:
            self._is_heard = False
            self._protocol.send_ping(b"")
            self._flush()
            self._pinging = self._loop.call_later(self._bounds.pong_s, self._judge)

    def _judge(self) -> None:
        if self._is_heard or self._stuck is not None:  # the ping may be stuck, too: the time limit of writing holds
            self._pinging = self._loop.call_later(max(0.0, self._bounds.ping_s - self._bounds.pong_s), self._ping)
        else:
            log.info("cut a WebSocket that did not answer a ping for %.0f s", self._bounds.pong_s)
            self._reset()

    def _reset(self) -> None:
        """Close with a reset: the kernel would go on holding what is stuck, for a peer that may be gone."""
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self.transport.abort()


class SocketOutlet:
    """The way to the client of one subscription, past the task that reads; see ``app.transports.broadcast``."""

    __slots__ = ("_protocol", "_stopped")

    def __init__(self, protocol: SocketProtocol) -> None:
        self._protocol = protocol
        self._stopped: Callable[[], None] | None = None

    def open(self, stopped: Callable[[], None]) -> Callable[[bytes], None] | None:
        """Return what writes finished frames; None while the connection takes none, or has them compressed."""
        write = self._protocol.open_outlet(self)
        if write is not None:
            self._stopped = stopped
        return write

    def close(self, written_bytes: int) -> None:
        """Say that nothing is written past the task any more."""
        self._stopped = None
        self._protocol.close_outlet(self)

    def stop(self) -> None:
        """Have the task write again. Idempotent."""
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            stopped()
