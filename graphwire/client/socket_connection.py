"""A stream over a WebSocket that speaks JSON-RPC 2.0 (``graphwire.v1``)."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import httpx
import msgspec
from msgspec import Raw, Struct
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from graphwire.client.call import MEMBERS, Answer, refusal
from graphwire.client.connection import Arrival, ReadEvent, read_arrival
from graphwire.client.errors import ClientError, ConnectionFailed, ProblemError, StreamClosedError, UnexpectedAnswer
from graphwire.client.http import CONNECT_S, said
from graphwire.errors import Problem

SUBPROTOCOL: Final = Subprotocol("graphwire.v1")
MAX_MESSAGE_BYTES: Final = 1024 * 1024
CREDIT: Final = 256
"""Events that the service may send ahead of their reader."""
MOST_AHEAD: Final = 2 * CREDIT
"""Messages: notices come without credit."""
MOST_BYTES_AHEAD: Final = 8 * MAX_MESSAGE_BYTES
ITSELF: Final = "s1"
"""What the service calls the subscription that it makes by itself."""

_NOTHING_FOLLOWS: Final = 1000
_CODES: Final = {4401: "unauthorized", 4404: "deleted"}
_NOT_UNDERSTOOD: Final = frozenset({1002, 1003, 1007, 1008, 1009, 1010})


class _Params(Struct):
    event: Raw = Raw(b"")
    notice: Raw = Raw(b"")


class _Error(Struct):
    message: str = ""
    data: dict[str, Any] = {}


class _Result(Struct):
    subscription: str = ""


class _Message(Struct):
    method: str = ""
    params: _Params | None = None
    result: _Result | None = None
    error: _Error | None = None


_read_message: Final = msgspec.json.Decoder(_Message).decode


class _Connect(connect):
    """Opens a socket where it was asked for, and nowhere else: no answer of this service leads elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class SocketConnection:
    """One subscription on a socket of its own. Made by ``open_socket``.

    A task takes messages in as they come, so that one change of tasks brings its reader many; credit bounds them, and
    how many bytes there are of them.
    """

    def __init__(self, socket: ClientConnection, read_event: ReadEvent, *, silence_s: float, ends: bool) -> None:
        self._socket = socket
        self._read_event = read_event
        self._silence_s = silence_s
        self._ends = ends  # by itself, at once: with nothing before, since nothing follows its reader's place
        self._subscription = ITSELF
        self._granted = 0
        self._messages: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._end: ConnectionClosed | None = None
        self._intake = asyncio.create_task(self._take_in(), name="graphwire.client:socket")

    async def read(self) -> list[Arrival] | None:
        """See ``Connection``."""
        if not await self._wait():
            return None
        arrived: list[Arrival] = []
        while self._messages:
            message = self._next()
            if message.error is not None:
                raise _problem(message.error)
            match message:
                case (
                    _Message(method="event", params=_Params(event=line))
                    | _Message(method="notice", params=_Params(notice=line))
                ):
                    arrived.append(read_arrival(line, self._read_event))
                    self._ends = False  # but with a sentinel
                case _:
                    pass  # a reply, or what a later version says
        return arrived

    async def handed(self, events: int) -> None:
        """See ``Connection``: half of the credit is given back at a time."""
        self._granted -= events
        if self._granted <= CREDIT // 2:
            await self.grant(CREDIT - self._granted)

    async def close(self) -> None:
        """See ``Connection``."""
        self._intake.cancel()
        try:
            await asyncio.wait({self._intake})
            await self._socket.close()
        except BaseException:  # cancelled: nothing is waited for any more
            self._socket.transport.abort()
            raise

    async def grant(self, events: int) -> None:
        """Let the service send so many events more. Raises as ``handed``."""
        self._granted += events
        await self._send("stream.credit", {"subscription": self._subscription, "events": events})

    async def subscribe(self, method: str, params: Mapping[str, Any]) -> None:
        """Subscribe, where the address does not do so by itself.

        Raises:
            ClientError: The service refused, or the connection broke.
        """
        await self._send(method, params, number=1)
        if not await self._wait():
            raise UnexpectedAnswer("the server closed the socket instead of answering")
        message = self._next()
        if message.error is not None:
            raise _problem(message.error)
        if message.result is None:
            raise UnexpectedAnswer("the server answered a subscription with something else")
        self._subscription = message.result.subscription

    async def _send(self, method: str, params: Mapping[str, Any], *, number: int | None = None) -> None:
        id = {} if number is None else {"id": number}
        text = msgspec.json.encode({"jsonrpc": "2.0", **id, "method": method, "params": params})
        try:
            await self._socket.send(text, text=True)
        except ConnectionClosed:
            pass  # reading says why

    async def _wait(self) -> bool:
        """Wait until there is a message; False where there will be none, as all is sent.

        Raises:
            ClientError: The stream broke, or nothing came for too long.
        """
        while not self._messages:
            if self._end is not None:
                if self._ends and self._end.rcvd is not None and self._end.rcvd.code == _NOTHING_FOLLOWS:
                    return False
                raise _meaning(self._end) from self._end
            self._news.clear()
            self._room.set()
            try:
                async with asyncio.timeout(self._silence_s):
                    await self._news.wait()
            except TimeoutError:
                raise ConnectionFailed("the stream fell silent", was_open=True, is_silent=True) from None
        return True

    def _next(self) -> _Message:
        text = self._messages.popleft()
        self._waiting_bytes -= len(text)
        try:
            return _read_message(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnexpectedAnswer(f"the server sent a message that is none ({error})") from None

    async def _take_in(self) -> None:
        try:
            while True:
                message = await self._socket.recv(decode=False)
                self._messages.append(message)
                self._waiting_bytes += len(message)
                self._news.set()
                # More than credit lets come, or so large that TCP is to hold the service back.
                if len(self._messages) >= MOST_AHEAD or self._waiting_bytes >= MOST_BYTES_AHEAD:
                    self._room.clear()
                    await self._room.wait()
        except ConnectionClosed as closed:
            self._end = closed
            self._news.set()


async def open_socket(
    base_url: httpx.URL,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    read_event: ReadEvent,
    *,
    silence_s: float,
    ends: bool,
) -> SocketConnection:
    """Open a socket.

    Args:
        base_url: Where the service is.
        path: Below that.
        query: How the stream is wanted.
        headers: The key.
        read_event: Reads one of its lines.
        silence_s: A socket on which nothing comes for so long is given up.
        ends: Whether the service closes it with 1000 at once where nothing follows.

    Raises:
        ClientError: There is none.
    """
    scheme = "wss" if base_url.scheme == "https" else "ws"
    address = str(base_url.copy_with(userinfo=b"")).rstrip("/")
    url = base_url.copy_with(scheme=scheme, raw_path=(base_url.path.rstrip("/") + path).encode(), params=None)
    uri = str(url.copy_merge_params(query)) if query else str(url)
    try:
        socket = await _Connect(
            uri,
            subprotocols=[SUBPROTOCOL],
            additional_headers=headers,
            open_timeout=CONNECT_S,
            close_timeout=1.0,
            max_size=MAX_MESSAGE_BYTES,
        )
    except InvalidStatus as refused:
        raise _refusal(refused) from None
    except (InvalidHandshake, InvalidURI) as error:
        raise UnexpectedAnswer(f"{address} opens no WebSocket: {said(error)}") from error
    except TimeoutError:
        raise ConnectionFailed(f"{address} did not answer in time", was_open=True, is_silent=True) from None
    except OSError as error:
        raise ConnectionFailed(f"{address} cannot be reached: {said(error)}", was_open=False) from error
    return SocketConnection(socket, read_event, silence_s=silence_s, ends=ends)


def _refusal(refused: InvalidStatus) -> ClientError:
    response = refused.response
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    failure = refusal(Answer(response.status_code, headers, bytes(response.body or b"")))
    if isinstance(failure, ProblemError) and failure.code == "websocket_required":  # a proxy made it a plain request
        return UnexpectedAnswer(failure.detail, status=failure.status)
    return failure


def _meaning(closed: ConnectionClosed) -> ClientError:
    """Return what the end of a socket means; 1000 in the middle is the word of something in between."""
    if closed.rcvd is None:
        return ConnectionFailed("the stream broke off", was_open=True)
    code, reason = closed.rcvd.code, closed.rcvd.reason
    if code in _CODES:
        return StreamClosedError(_CODES[code], reason)
    if code in _NOT_UNDERSTOOD:
        return UnexpectedAnswer(f"the server closed the socket with {code} {reason[:200]}")
    return ConnectionFailed(f"the server closed the socket with {code} {reason[:200]}", was_open=True)


def _problem(error: _Error) -> ClientError:
    told = error.data
    if not isinstance(told.get("code"), str) or not isinstance(told.get("status"), int):
        return UnexpectedAnswer(f"the server refused: {error.message[:200]}")
    if told["code"] == "not_available":  # here; another transport may have it
        return UnexpectedAnswer(error.message[:200], status=told["status"])
    return ProblemError(
        told["code"],
        told["status"],
        str(told.get("detail", "")),
        title=str(told.get("title", "")),
        errors=tuple(_problems(told.get("errors"))),
        facts={name: value for name, value in told.items() if name not in MEMBERS},
        request_id=told.get("request_id"),
    )


def _problems(listed: Any) -> list[Problem]:
    try:
        return msgspec.convert(listed or [], list[Problem])
    except msgspec.ValidationError:
        return []
