"""Newline-delimited JSON: an event or a notice a line."""

from collections.abc import AsyncGenerator, Hashable, Iterator, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.services.readers import Reader
from app.transports.framing import chunk, joined
from app.transports.sending import send_stream
from graphwire.events.hub import Published

MEDIA_TYPE = "application/x-ndjson"

_HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}


class NdjsonForm:
    """Lines. Silence is broken by the notice, since JSON has no comments."""

    silence: bytes | None = None
    has_begun = True

    def continued(self) -> "NdjsonForm":
        """Return it as it is: all lines of all connections are alike."""
        return self

    @property
    def kind(self) -> Hashable:
        """All connections."""
        return NdjsonForm

    def enclosed(self, piece: bytes) -> bytes:
        """Return a piece as a chunk."""
        return chunk(piece)

    def events(self, items: list[Published]) -> Iterator[bytes]:
        """Return the writes that carry these events."""
        return joined(item.line + b"\n" for item in items)

    def notice(self, name: str, line: bytes, cursor: int | None) -> bytes:
        """Return a notice's line; its place is inside it."""
        return line + b"\n"


class NdjsonResponse(StreamingResponse):
    """A stream of lines.

    Args:
        writes: End when their reader is told that its client has left.
        reader: Is closed, whatever ended the stream.
    """

    def __init__(
        self, writes: AsyncGenerator[bytes, None], reader: Reader, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(writes, headers={**_HEADERS, **(headers or {})}, media_type=MEDIA_TYPE)
        self._writes = writes
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send_stream(scope, send, start, self._writes, self._until_left(receive), self._reader)

    async def _until_left(self, receive: Receive) -> None:
        await self.listen_for_disconnect(receive)
        self._reader.leave()
