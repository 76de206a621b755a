"""The forms of a stream, as a conforming client reads them: bytes in, in whatever pieces, whole frames out.

No socket is touched here, so a connection can be cut anywhere.
"""

import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

import httptools
import msgspec
from backports import zstd
from websockets.client import ClientProtocol
from websockets.extensions import ClientExtensionFactory
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame as Message, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from tests.live.serving import request

Outcome: TypeAlias = Literal["end", "nothing", "refused"]
"""How the server ended a connection: whole, with nothing to say to this cursor, or with a problem."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its number, and its bytes when the frame is taken away."""

    seq: int
    line: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice. ``place`` is where a client goes on that was cut after it."""

    line: bytes
    place: int | None

    @property
    def type(self) -> str:
        return str(self.value["type"])

    @property
    def value(self) -> dict[str, Any]:
        return dict(json.loads(self.line))


Frame: TypeAlias = Event | Notice


@dataclass
class Wish:
    """What a client asks for, apart from its place."""

    execution: str
    query: Mapping[str, str] = field(default_factory=dict)

    def address(self, leaf: str, after: int | None, **more: str) -> str:
        query = {**self.query, **more, **({} if after is None else {"after": str(after)})}
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return f"/executions/{self.execution}/{leaf}" + (f"?{text}" if text else "")


class Session(ABC):
    """One connection of a client.

    Attributes:
        sending: What is to be sent next; whoever sends it empties it.
        outcome: None while it goes on.
        status: Of the last answer.
        problem: What a refusal says.
        signs: How often the server said only that it is alive.
    """

    name: ClassVar[str]

    def __init__(self, wish: Wish, after: int | None) -> None:
        self.wish = wish
        self.place = after
        self.sending = b""
        self.outcome: Outcome | None = None
        self.status = 0
        self.problem: dict[str, Any] = {}
        self.signs = 0

    @abstractmethod
    def receive(self, data: bytes) -> Iterator[Frame]:
        """Take bytes as they come, and give what is whole."""

    @property
    def close_code(self) -> int | None:
        """Why the server closed, where the form can say so beside the stream."""
        return None

    @property
    @abstractmethod
    def rest(self) -> bytes:
        """What was received of a frame that is not whole yet."""


class HttpSession(Session):
    """One connection that speaks HTTP."""

    media_type: ClassVar[str]
    coding: ClassVar[str] = "identity"

    def __init__(self, wish: Wish, after: int | None) -> None:
        super().__init__(wish, after)
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._is_whole = False
        self._decoded = CODINGS[self.coding]()
        self.sending = self.asking()

    def asking(self) -> bytes:
        headers = {"Accept": self.media_type, "Accept-Encoding": self.coding}
        if self.place is not None:
            headers["Last-Event-ID"] = str(self.place)
        return request("GET", self.wish.address("events", None), None, **headers)

    def receive(self, data: bytes) -> Iterator[Frame]:
        self._parser.feed_data(data)
        if self.status == 200:
            yield from self._frames()
        elif self._is_whole and self.status == 204:
            self.outcome = "nothing"
        elif self._is_whole:
            self.outcome, self.problem = "refused", json.loads(self._body)

    def on_status(self, _: bytes) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._body += self._decoded(body) if self.status == 200 else body

    def on_message_complete(self) -> None:
        self._is_whole = True

    @property
    def rest(self) -> bytes:
        return self._body

    def _lines(self) -> Iterator[bytes]:
        while (end := self._body.find(b"\n")) >= 0:
            line, self._body = self._body[:end], self._body[end + 1 :]
            yield line

    @abstractmethod
    def _frames(self) -> Iterator[Frame]: ...


class Sse(HttpSession):
    """Blocks, read as the HTML Standard says ("Interpreting an event stream"), but for CR, which must not occur."""

    name = "sse"
    media_type = "text/event-stream"

    def __init__(self, wish: Wish, after: int | None) -> None:
        super().__init__(wish, after)
        self._block: list[tuple[bytes, bytes]] = []

    @property
    def rest(self) -> bytes:
        return b"".join(name for name, _ in self._block) + self._body

    def _frames(self) -> Iterator[Frame]:
        for line in self._lines():
            assert b"\r" not in line
            if line.startswith(b":"):
                self.signs += 1
            elif line:
                name, _, value = line.partition(b":")
                self._block.append((name, value.removeprefix(b" ")))
            elif self._block:
                yield self._whole(dict(self._block))
                self._block = []
        if self._is_whole:
            self.outcome = "end"

    def _whole(self, block: dict[bytes, bytes]) -> Frame:
        if b"id" in block:
            self.place = int(block[b"id"])
        frame = framed(block[b"data"], self.place)
        assert block[b"event"].decode() == json.loads(frame.line)["type"]
        self.signs += isinstance(frame, Notice) and frame.type == "heartbeat"
        return frame


class Ndjson(HttpSession):
    """Lines."""

    name = "ndjson"
    media_type = "application/x-ndjson"

    def _frames(self) -> Iterator[Frame]:
        for line in self._lines():
            frame = framed(line, self.place)
            self.place = frame.seq if isinstance(frame, Event) else frame.place
            self.signs += isinstance(frame, Notice) and frame.type == "heartbeat"
            yield frame
        if self._is_whole:
            self.outcome = "end"


class SseGzip(Sse):
    """Blocks, compressed. What a piece holds must be readable when it has come, to the last byte."""

    name = "sse+gzip"
    coding = "gzip"


class NdjsonZstd(Ndjson):
    """Lines, likewise."""

    name = "ndjson+zstd"
    coding = "zstd"


class Poll(HttpSession):
    """Pages, one after the other on one connection. A page is a frame: a part of one is as good as nothing."""

    name = "poll"
    media_type = "application/json"

    def asking(self) -> bytes:
        query = {"wait": "20", **self.wish.query}
        return request("GET", Wish(self.wish.execution, query).address("events", self.place), Accept=self.media_type)

    def _frames(self) -> Iterator[Frame]:
        if not self._is_whole:
            return
        page, self._body, self._is_whole = PAGES.decode(self._body), b"", False
        if page.lagged is not None:
            yield framed(bytes(page.lagged), self.place)
        for line in page.events:
            yield framed(bytes(line), self.place)
        self.signs += not page.events
        moved = page.next != self.place
        self.place = page.next
        if page.ended:
            self.outcome = "end" if moved else "nothing"
        else:
            self.sending = self.asking()


class WebSocket(Session):
    """Notifications of JSON-RPC on the socket of one execution. A message is a frame of the stream."""

    name = "websocket"
    extensions: ClassVar[Sequence[ClientExtensionFactory] | None] = None

    def __init__(self, wish: Wish, after: int | None) -> None:
        super().__init__(wish, after)
        self._has_events = False
        uri = parse_uri("ws://127.0.0.1" + wish.address("ws", after))
        self._protocol = ClientProtocol(uri, subprotocols=[Subprotocol("graphwire.v1")], extensions=self.extensions)
        self._protocol.send_request(self._protocol.connect())
        self.sending = self._written()

    @property
    def close_code(self) -> int | None:
        return None if self._protocol.close_rcvd is None else self._protocol.close_rcvd.code

    @property
    def rest(self) -> bytes:
        return bytes(self._protocol.reader.buffer)

    def receive(self, data: bytes) -> Iterator[Frame]:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self.status = event.status_code
                if event.status_code != 101:
                    self.outcome, self.problem = "refused", json.loads(event.body or b"{}")
                else:
                    assert event.headers["Sec-WebSocket-Protocol"] == "graphwire.v1"
            elif isinstance(event, Message) and event.opcode is Opcode.TEXT:
                assert event.fin
                yield self._framed(event.data)
        if self._protocol.close_rcvd is not None:
            self.outcome = "end" if self._has_events or self.close_code != 1000 else "nothing"
        self.sending += self._written()

    def _framed(self, message: bytes | bytearray | memoryview) -> Frame:
        notification = NOTIFICATIONS.decode(message)
        line = notification.params.event if notification.method == "event" else notification.params.notice
        frame = framed(bytes(line), self.place)
        self.place = frame.seq if isinstance(frame, Event) else frame.place
        self._has_events = True
        self.signs += isinstance(frame, Notice) and frame.type == "heartbeat"
        return frame

    def _written(self) -> bytes:
        return b"".join(self._protocol.data_to_send())


class WebSocketDeflate(WebSocket):
    """Likewise, with ``permessage-deflate``."""

    name = "websocket+deflate"
    extensions = (ClientPerMessageDeflateFactory(),)


class _Params(msgspec.Struct):
    subscription: str
    event: msgspec.Raw = msgspec.Raw()
    notice: msgspec.Raw = msgspec.Raw()


class _Notification(msgspec.Struct):
    jsonrpc: Literal["2.0"]
    method: Literal["event", "notice"]
    params: _Params


NOTIFICATIONS = msgspec.json.Decoder(_Notification)


class _Page(msgspec.Struct):
    events: list[msgspec.Raw]
    next: int
    ended: bool
    lagged: msgspec.Raw | None = None


PAGES = msgspec.json.Decoder(_Page)


def framed(line: bytes, place: int | None) -> Frame:
    """Tell events from notices."""
    value = json.loads(line)
    return Event(value["seq"], line) if "seq" in value else Notice(line, value.get("after", place))


def _gzip() -> Callable[[bytes], bytes]:
    return zlib.decompressobj(wbits=31).decompress


def _zstd() -> Callable[[bytes], bytes]:
    decoder = zstd.ZstdDecompressor()

    def decoded(data: bytes) -> bytes:
        nonlocal decoder
        whole = decoder.decompress(data)
        while decoder.eof:  # a frame follows the other
            data, decoder = decoder.unused_data, zstd.ZstdDecompressor()
            whole += decoder.decompress(data)
        return whole

    return decoded


CODINGS: dict[str, Callable[[], Callable[[bytes], bytes]]] = {
    "identity": lambda: bytes,
    "gzip": _gzip,
    "zstd": _zstd,
}

FORMS: dict[str, type[Session]] = {form.name: form for form in (Sse, Ndjson, Poll, WebSocket)}
CODED_FORMS = FORMS | {form.name: form for form in (SseGzip, NdjsonZstd, WebSocketDeflate)}
