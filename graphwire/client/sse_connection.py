"""A stream over server-sent events."""

import httpx

from graphwire.client.call import Answer, Call, Query, read_nothing, refusal
from graphwire.client.connection import Arrival, ReadEvent, read_arrival
from graphwire.client.errors import ConnectionFailed, UnexpectedAnswer
from graphwire.client.http import Http
from graphwire.client.sse import SseParser

MEDIA_TYPE = "text/event-stream"


class SseConnection:
    """An answer whose body goes on. Made by ``open_sse``.

    Attributes:
        parser: Knows what the server wished for as the time before a reconnect.
    """

    def __init__(self, http: Http, response: httpx.Response, read_event: ReadEvent) -> None:
        self.parser = SseParser()
        self._response = response
        self._read_event = read_event
        self._chunks = http.chunks(response)

    async def read(self) -> list[Arrival] | None:
        """See ``Connection``."""
        if self._response.status_code == 204:
            return None
        async for data in self._chunks:
            return [read_arrival(block.data, self._read_event) for block in self.parser.feed(data)]
        raise ConnectionFailed("the stream broke off", was_open=True)

    async def handed(self, events: int) -> None:
        """See ``Connection``: TCP holds the server back."""

    async def close(self) -> None:
        """See ``Connection``."""
        try:
            await self._chunks.aclose()
        finally:
            await self._response.aclose()


async def open_sse(http: Http, path: str, query: Query, read_event: ReadEvent, *, silence_s: float) -> SseConnection:
    """Open an event stream. A connection on which nothing comes for so long, not even a comment, is given up.

    Raises:
        ClientError: There is none.
    """
    headers = {"Accept": MEDIA_TYPE, "Cache-Control": "no-store"}
    call = Call("GET", path, read_nothing, query, headers)
    response = await http.open(call, silence_s=silence_s)
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status_code == 204 or (response.status_code == 200 and media_type == MEDIA_TYPE):
        return SseConnection(http, response, read_event)
    try:
        if response.status_code == 200:
            raise UnexpectedAnswer("the answer is no event stream; is a proxy between?", status=200)
        body = await http.read_whole(response)
    finally:
        await response.aclose()
    raise refusal(Answer(response.status_code, response.headers, body))
