"""Newline-delimited JSON: an event or a notice a line."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.transports.framing import joined
from graphwire.events.hub import Published

MEDIA_TYPE = "application/x-ndjson"

_HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}


class NdjsonForm:
    """Lines. Silence is broken by the notice, since JSON has no comments."""

    silence: bytes | None = None

    def events(self, items: list[Published]) -> Iterator[bytes]:
        """Return the writes that carry these events."""
        return joined(item.line + b"\n" for item in items)

    def notice(self, name: str, line: bytes, cursor: int | None) -> bytes:
        """Return a notice's line; its place is inside it."""
        return line + b"\n"


class NdjsonResponse(StreamingResponse):
    """A stream of lines.

    Args:
        closed: Called once, whatever ended the stream.
    """

    def __init__(
        self,
        writes: AsyncGenerator[bytes, None],
        *,
        closed: Callable[[], None],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(writes, headers={**_HEADERS, **(headers or {})}, media_type=MEDIA_TYPE)
        self._writes = writes
        self._closed = closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._writes.aclose()  # a cancelled send leaves it where it was
            self._closed()
