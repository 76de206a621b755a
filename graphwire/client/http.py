"""HTTP to one service: bounded answers, and one error for every way in which a connection fails."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Final

import httpx

from graphwire.client.call import JSON, Answer, Call, T
from graphwire.client.choice import TRANSPORTS, Transport
from graphwire.client.errors import ConnectionFailed, UnexpectedAnswer
from graphwire.client.inflating import ACCEPTED, Inflating

MAX_ANSWER_BYTES: Final = 128 * 1024 * 1024
"""Of a whole answer, decompressed: a state may have 64 MiB, and more where its graph says so."""
CONNECT_S: Final = 10.0

_NEVER_OPEN: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Http:
    """Sends requests to one service.

    Attributes:
        base_url: Where the service is; a path in it comes before every other.
        address: The same for people: without a slash at its end, and without a password.
        headers: Sent with every request: the key.
        transports: What streams may choose from. WebSockets do not go through an HTTP client of the caller's, with
            its proxies and certificates, so with one they are left out.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        *,
        timeout_s: float,
        max_answer_bytes: int,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.base_url = _address(base_url)
        self.address = str(self.base_url.copy_with(userinfo=b"")).rstrip("/")
        self.headers = {} if api_key is None else {"Authorization": f"Bearer {_checked(api_key)}"}
        self.transports: Sequence[Transport] = TRANSPORTS if http is None else TRANSPORTS[1:]
        self._prefix = str(self.base_url).rstrip("/")
        self._timeout_s = timeout_s
        self._max_bytes = max_answer_bytes
        self._owns_http = http is None
        self._http = http or httpx.AsyncClient(limits=httpx.Limits(max_connections=None, max_keepalive_connections=20))

    async def send(self, call: Call[T]) -> Answer:
        """Send a request once and read its answer, whatever its status.

        Raises:
            ConnectionFailed: There is no answer.
            UnexpectedAnswer: It is too large, or cannot be decoded.
        """
        response = await self._open(call, {"Accept": JSON, **call.headers}, self._timeout_s + call.wait_s)
        try:
            return Answer(response.status_code, response.headers, await self.read_whole(response))
        finally:
            await response.aclose()

    async def open(self, call: Call[T], *, silence_s: float) -> httpx.Response:
        """Send a request and return its answer while the body still comes; the caller closes it.

        Args:
            call: The request.
            silence_s: How long nothing may come.

        Raises:
            ConnectionFailed: There is no answer.
        """
        return await self._open(call, call.headers, silence_s)

    async def chunks(self, response: httpx.Response) -> AsyncGenerator[bytes]:
        """Give the body of an answer as it comes, decompressed.

        Raises:
            ConnectionFailed: It broke off.
            UnexpectedAnswer: It cannot be decoded.
        """
        inflating = Inflating(response.headers.get("content-encoding", ""))
        with self._failures_told():
            async for data in response.aiter_raw():
                for piece in inflating.feed(data):
                    yield piece

    async def read_whole(self, response: httpx.Response) -> bytes:
        """Return the body of an answer.

        Raises:
            ConnectionFailed: It broke off.
            UnexpectedAnswer: It is too large, or cannot be decoded.
        """
        parts: list[bytes] = []
        size = 0
        async with aclosing(self.chunks(response)) as pieces:
            async for piece in pieces:
                size += len(piece)
                if size > self._max_bytes:
                    detail = f"the answer has more than {self._max_bytes:,} bytes"
                    raise UnexpectedAnswer(detail, status=response.status_code)
                parts.append(piece)
        return b"".join(parts)

    async def close(self) -> None:
        """Close the connections, unless they are the caller's."""
        if self._owns_http:
            await self._http.aclose()

    async def _open(self, call: Call[T], headers: Mapping[str, str], read_s: float) -> httpx.Response:
        timeout = httpx.Timeout(CONNECT_S, read=read_s)
        request = self._http.build_request(
            call.method,
            self._prefix + call.path,
            params=dict(call.query) or None,
            content=call.content,
            headers={"Accept-Encoding": ACCEPTED, **self.headers, **headers},
            timeout=timeout,
        )
        with self._failures_told():
            return await self._http.send(request, stream=True, follow_redirects=False)

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        try:
            yield
        except _NEVER_OPEN as error:
            detail = f"{self.address} cannot be reached: {said(error)}"
            raise ConnectionFailed(detail, was_open=False) from error
        except httpx.ReadTimeout as error:
            raise ConnectionFailed(f"{self.address} did not answer in time", was_open=True, is_silent=True) from error
        except (httpx.TransportError, httpx.StreamError) as error:
            detail = f"the connection to {self.address} broke: {said(error)}"
            raise ConnectionFailed(detail, was_open=True) from error


def _address(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text.rstrip("/") + "/")
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment or "?" in text or "#" in text:
        shown = f" and not like {text[:200]!r}" if "@" not in text else ""  # which may have a password
        raise ValueError(f"the address of a service is like http://127.0.0.1:8000{shown}")
    return url


def _checked(api_key: str) -> str:
    if not api_key or not (api_key.isascii() and api_key.isprintable()) or " " in api_key:
        raise ValueError("a key has printable ASCII characters only, at least one; without a key give none")
    return api_key


def said(error: Exception) -> str:
    """Return what an exception says, or what it is where it says nothing."""
    return str(error) or type(error).__name__
