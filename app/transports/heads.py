"""The heads of requests as they arrive: how large they may be, and which can be read in one way only."""

import asyncio
import json
import re
import secrets
from dataclasses import dataclass
from http import HTTPStatus

from app.transports.pipeline import Pipelined

MAX_HEADERS = 100
MAX_HEADER_BYTES = 16 * 1024
MAX_HEADERS_BYTES = 64 * 1024
MAX_ADDRESS_BYTES = 8 * 1024
HEAD_S = 10.0
"""In which a head has come whole, counted from its first byte, or from the beginning of the connection."""

_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)/[^#]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a request that no application gets to see."""

    status: int
    code: str
    title: str
    detail: str

    def encoded(self) -> bytes:
        """Return it as it stands on the wire; the connection ends with it."""
        request_id = secrets.token_hex(8)
        problem = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        }
        body = json.dumps(problem).encode()
        head = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n"
            f"content-type: application/problem+json\r\ncontent-length: {len(body)}\r\n"
            f"connection: close\r\nx-request-id: {request_id}\r\n\r\n"
        )
        return head.encode() + body


UNREADABLE = Refusal(400, "bad_request", "Bad request", "the request is not HTTP/1.1 that can be read in one way only")
ADDRESS_TOO_LONG = Refusal(
    414, "address_too_long", "Address too long", f"the address is longer than {MAX_ADDRESS_BYTES:,} bytes"
)
HEADERS_TOO_LARGE = Refusal(
    431,
    "headers_too_large",
    "Headers too large",
    f"the request has a header of more than {MAX_HEADER_BYTES:,} bytes, more than {MAX_HEADERS} of them, "
    f"or more than {MAX_HEADERS_BYTES:,} bytes of them together",
)


class _RefusedError(Exception):
    """Ends the parsing of a request."""


class BoundedHeads(Pipelined):
    """One connection whose requests have bounded heads, and are refused where another could read them otherwise.

    The parser refuses what contradicts itself (two lengths, bad chunks, folded headers); this class what it lets pass:
    other versions and codings, a target with another host than ``Host``. A trailer is dropped: taken for a header, it
    would be one that nothing in front of the service saw.

    What was asked before a request that cannot be read is answered, and is the last of its connection.
    """

    head_timeout_s = HEAD_S
    _refusal: Refusal | None = None
    _slow: asyncio.TimerHandle | None = None
    _is_head_over = False
    _headers_bytes = 0
    _unread_bytes = 0
    """What the parser holds back since it last told anything."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as Uvicorn's own
        super().connection_made(transport)
        self._slow = self.loop.call_later(self.head_timeout_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._hurry_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unread_bytes += len(data)
        super().data_received(data)
        if not self._is_head_over and self._slow is None and not self._is_deaf:
            self._slow = self.loop.call_later(self.head_timeout_s, self._give_up)
        if self._unread_bytes > MAX_HEADER_BYTES and not self._is_deaf:
            self._refusal = HEADERS_TOO_LARGE
            self.send_400_response("")

    # The callbacks below run for every request: they call Uvicorn's own only where there is something to call.

    def on_message_begin(self) -> None:
        self._is_head_over = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._unread_bytes = self._headers_bytes = 0
        self.url += url
        if len(self.url) > MAX_ADDRESS_BYTES:
            self._refuse(ADDRESS_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._unread_bytes = 0
        if self._is_head_over:  # a trailer
            return
        name = name.lower()
        headers = self.headers
        headers.append((name, value))
        size = len(name) + len(value)
        self._headers_bytes += size
        if size > MAX_HEADER_BYTES or self._headers_bytes > MAX_HEADERS_BYTES or len(headers) > MAX_HEADERS:
            self._refuse(HEADERS_TOO_LARGE)
        if name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        elif name == b"transfer-encoding" and (value.lower() != b"chunked" or self.parser.get_http_version() != "1.1"):
            self._refuse(UNREADABLE)

    def on_headers_complete(self) -> None:
        self._unread_bytes = 0
        self._is_head_over = True
        self._hurry_no_more()
        if self.parser.get_http_version() not in ("1.1", "1.0") or not self._is_for_this_host():
            self._refuse(UNREADABLE)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread_bytes = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Refuse what arrives, and hear nothing more. Uvicorn's name for it, which it calls when parsing failed."""
        self._hear_no_more()
        if self.pipeline and self.cycle.more_body:  # it has no turn yet, and gets none
            self._drop_newest()
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:  # asked before, and whole
                cycle.keep_alive = False
                return
            if cycle.response_started:
                self.transport.close()
                return
            cycle.disconnected = True  # nobody will hear what the application says
            cycle.message_event.set()
        self.transport.write((self._refusal or UNREADABLE).encoded())
        self._end()

    def _unsupported_upgrade_warning(self) -> None:
        """Answer as if no upgrade had been asked for (RFC 9110 §7.8), in its turn.

        The parser has dropped what came after, so it is the last of its connection.
        """
        self._hear_no_more()
        self.cycle.keep_alive = False

    def _end(self) -> None:
        self.transport.close()

    def _give_up(self) -> None:
        """Wait no longer for a head. What was asked before it is answered."""
        self._slow = None
        self._hear_no_more()
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def _hurry_no_more(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _refuse(self, refusal: Refusal) -> None:
        self._refusal = refusal
        raise _RefusedError

    def _is_for_this_host(self) -> bool:
        """Return whether the target is a path, or an address with the host that ``Host`` names."""
        if self.url.startswith(b"/"):
            return b"#" not in self.url
        absolute = _ABSOLUTE.fullmatch(self.url)
        if absolute is None:
            return self.url == b"*" and self.parser.get_method() == b"OPTIONS"
        return absolute[1].lower() == dict(self.headers).get(b"host", b"").lower()
