"""Server-Sent Events (HTML Standard, "Server-sent events")."""

from collections.abc import AsyncGenerator, Hashable, Iterator, Mapping

from sse_starlette.sse import EventSourceResponse
from starlette.types import Message, Receive, Scope, Send

from app.services.readers import Reader, draw_retry_ms
from app.transports.framing import chunk, joined
from app.transports.sending import send_stream
from graphwire.events.hub import Published

MEDIA_TYPE = "text/event-stream"

_HEADERS = {"Cache-Control": "no-store, no-transform"}


class SseForm:
    """Blocks of one connection: ``event``, ``data``, ``id`` last, since some clients lose an event when it comes first.

    Args:
        comments: Whether a bare comment line is enough to keep the connection alive.
    """

    def __init__(self, *, comments: bool, retry_ms: int | None = None) -> None:
        retry = draw_retry_ms() if retry_ms is None else retry_ms
        self._head = b"retry: %d\n" % retry
        self._comments = comments

    @property
    def silence(self) -> bytes | None:
        """A comment line, without the empty line that would end a block."""
        return b":\n" if self._comments else None

    @property
    def has_begun(self) -> bool:
        """Whether the first block, which has ``retry``, was written."""
        return not self._head

    def continued(self) -> "SseForm":
        """Return the form without ``retry``."""
        form = SseForm(comments=self._comments, retry_ms=0)
        form._head = b""
        return form

    @property
    def kind(self) -> Hashable:
        """Connections that are kept alive alike."""
        return SseForm, self._comments

    def enclosed(self, piece: bytes) -> bytes:
        """Return a piece as a chunk."""
        return chunk(piece)

    def events(self, items: list[Published]) -> Iterator[bytes]:
        """Return the writes that carry these events."""
        return joined(self._frames(items))

    def _frames(self, items: list[Published]) -> Iterator[bytes]:
        if self._head:
            yield self._with_head(frame(items[0]))
            items = items[1:]
        for item in items:
            yield item.frame or frame(item)

    def notice(self, name: str, line: bytes, cursor: int | None) -> bytes:
        """Return a notice; its id is the reader's place, since some clients forget theirs at a block without one."""
        place = b"" if cursor is None else b"id: %d\n" % cursor
        event = b"event: %b\n" % name.encode() if name else b""
        return self._with_head(b"%bdata: %b\n%b\n" % (event, line, place))

    def _with_head(self, block: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + block


def frame(item: Published) -> bytes:
    """Return an event's block, made once and shared by all readers."""
    made = item.frame
    if made is None:
        made = item.frame = b"event: %b\ndata: %b\nid: %d\n\n" % (item.type.encode(), item.line, item.seq)
    return made


class SseResponse(EventSourceResponse):
    """An event stream made of finished bytes. Heartbeats and the end at shutdown are in them already.

    Args:
        writes: End when their reader is told that its client has left.
        reader: Is closed, whatever ended the stream.
    """

    def __init__(
        self, writes: AsyncGenerator[bytes, None], reader: Reader, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(
            writes, headers={**_HEADERS, **(headers or {})}, ping=0, client_close_handler_callable=self._client_left
        )
        del self.headers["Connection"]  # the library says keep-alive, also where the connection closes
        self._writes = writes
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # One task beside the request's, where the library has a group of three, which costs more than a short chain;
        # and no time limit around each write: the connection itself cuts clients that do not read.
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send_stream(scope, send, start, self._writes, self._listen_for_disconnect(receive), self._reader)

    async def _client_left(self, message: Message) -> None:
        self._reader.leave()
