"""What every request has to pass before a route sees it. Pure ASGI, and cheap: a few look-ups for each request."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import problems, refusals
from app.api.cors import Preflights, cors_of
from app.api.errors import (
    BadRequest,
    MisdirectedRequest,
    MisplacedKey,
    OriginNotAllowed,
    TooManyFailures,
    Unauthorized,
)
from app.security.failed_tries import FailedTries
from app.security.hosts import LOOPBACK_NAMES, host_name, is_address
from app.security.keys import SUBPROTOCOL, Keys, key_parameter, offered_keys
from graphwire.errors import GraphwireError, NotFound

log = logging.getLogger(__name__)

_ONCE = frozenset({b"authorization", b"content-length", b"content-type", b"host", b"last-event-id", b"origin"})
HOLD_S = 1.0
"""How long a wrong key waits for its answer once too many came from an address whose right key is still heard."""
MAX_HELD = 100
"""How many such answers wait at the same time; others are sent at once."""

_HEALTH = "/health/"
_BASIC = {"WWW-Authenticate": 'Basic realm="Graphwire", charset="UTF-8"'}
_BEARER = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the service.

    Attributes:
        keys: Without any, whoever can reach it.
        hosts: What ``Host`` may name beside the names of loopback. None: anything.
        takes_addresses: It may also be any address, which no page of another name can have a browser send.
        origins: The foreign pages that may send requests.
    """

    keys: Collection[str] = field(default=(), repr=False)
    hosts: Collection[str] | None = ()
    takes_addresses: bool = False
    origins: Collection[str] = ()


def install(app: FastAPI, access: Access) -> None:
    """Put the guards around an application; what is added afterwards is around them."""
    if access.keys:
        app.add_middleware(KeyGuard, keys=Keys(access.keys), tries=FailedTries(time.monotonic))
    if access.origins:
        app.add_middleware(Preflights, **cors_of(access.origins))
    app.add_middleware(HeadGuard, access=access)


class HeadGuard:
    """Refuses a request that can be read in two ways, is for another host, or comes from a page that may not ask.

    With a key a proxy may be in front that speaks TLS, so that the service's own pages may have either scheme.
    """

    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self._app = app
        self._hosts = None if access.hosts is None else LOOPBACK_NAMES.union(access.hosts)
        self._takes_addresses = access.takes_addresses
        self._origins = frozenset(origin.encode() for origin in access.origins)
        self._is_scheme_known = not access.keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = None if scope["type"] == "lifespan" else self._fault(scope)
        if fault is None:
            await self._app(scope, receive, send)
        else:
            extra = {"Connection": "close"} if isinstance(fault, BadRequest) else {}
            await problems.render(fault, _request_id(scope), headers=extra)(scope, receive, send)

    def _fault(self, scope: Scope) -> GraphwireError | None:
        headers = dict(scope["headers"])
        if len(headers) < len(scope["headers"]) and (name := _doubled(scope)):
            return BadRequest(f"the header {name} is given more than once")
        host = headers.get(b"host", b"")
        name = host_name(host)
        if name is None:
            return BadRequest("the header Host is missing, or names no host")
        if self._hosts is not None and name not in self._hosts and not (self._takes_addresses and is_address(name)):
            return MisdirectedRequest("this service does not answer for that host (GRAPHWIRE_ALLOWED_HOSTS)")
        origin = headers.get(b"origin")
        if origin is not None and origin not in self._origins and not self._is_own(origin, host, scope["scheme"]):
            return OriginNotAllowed("pages of that origin may not use this service (GRAPHWIRE_CORS_ORIGINS)")
        return _fault_of_path(scope["raw_path"]) if b"%" in scope["raw_path"] else None

    def _is_own(self, origin: bytes, host: bytes, scheme: str) -> bool:
        is_secure = scheme in ("https", "wss")
        schemes = {b"https" if is_secure else b"http"} if self._is_scheme_known else {b"http", b"https"}
        return any(origin == own + b"://" + host.lower() for own in schemes)


def _doubled(scope: Scope) -> str | None:
    seen: set[bytes] = set()
    for name, _ in scope["headers"]:
        if name in seen and name in _ONCE:
            return str(name.decode("latin-1"))
        seen.add(name)
    return None


def _fault_of_path(raw_path: bytes) -> GraphwireError | None:
    try:
        path = unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        return BadRequest("the address is no UTF-8")
    # What is a slash for a route and none for whoever looked at the address before it.
    if not path.isprintable() or "\\" in path or path.count("/") != raw_path.count(b"/"):
        return NotFound("there is nothing at this address")
    return None


class KeyGuard:
    """Asks every request but those for the state of health for a key.

    Args:
        pause: Waits for that many seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Keys,
        tries: FailedTries,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._app = app
        self._keys = keys
        self._tries = tries
        self._pause = pause
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"].startswith(_HEALTH)):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        fault = self._fault(scope, headers)
        if fault is None:
            if scope["type"] == "websocket":
                left = [each for each in scope["subprotocols"] if not each.startswith(SUBPROTOCOL)]
                scope = {**scope, "subprotocols": left}  # a key is not for routes to see, nor to answer with
            await self._app(scope, receive, send)
            return
        extra: dict[str, str] = {}
        if isinstance(fault, TooManyFailures):
            extra["Retry-After"] = str(fault.facts["retry_after_s"])
            if self._tries.is_known(_address(scope)):
                await self._hold()
        elif isinstance(fault, Unauthorized):
            extra = _BASIC if _is_of_page(headers) else _BEARER
        await problems.render(fault, _request_id(scope), headers=extra)(scope, receive, send)

    def _fault(self, scope: Scope, headers: dict[bytes, bytes]) -> GraphwireError | None:
        if scope["query_string"] and (name := key_parameter(scope["query_string"])):
            log.warning("request %s: a key in the address (parameter %s)", _request_id(scope), name)
            return MisplacedKey(f"the address has the parameter {name}; a key belongs into the header Authorization")
        offered = offered_keys(headers, scope.get("subprotocols", ()))
        if len(offered) > 1:
            log.warning("request %s: keys in two places (Authorization, Sec-WebSocket-Protocol)", _request_id(scope))
            return MisplacedKey("the request has keys in two places")
        address = _address(scope)
        wait_s = self._tries.wait_s(address)
        if wait_s and not self._tries.is_known(address):
            return _too_many(wait_s)
        if offered and self._keys.has(offered[0]):
            self._tries.add_success(address)
            return None
        if offered and wait_s:
            return _too_many(wait_s)
        if offered:
            self._tries.add_failure(address)
        return Unauthorized("this service asks for a key, which is missing or wrong")

    async def _hold(self) -> None:
        """Let who guesses wait. So many may wait that it slows the guesses down, and not so many that it costs much."""
        if self._held >= MAX_HELD:
            return
        self._held += 1
        try:
            await self._pause(HOLD_S)
        finally:
            self._held -= 1


def _address(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


def _is_of_page(headers: dict[bytes, bytes]) -> bool:
    """Whether a browser may ask its user for a login: a person waits for a page, or that page has sent the request.

    ``Basic`` is the only challenge then: Chromium takes a line with two for one whose scheme it does not know.
    """
    return b"text/html" in headers.get(b"accept", b"") or headers.get(b"sec-fetch-site") == b"same-origin"


def _too_many(wait_s: int) -> TooManyFailures:
    return TooManyFailures("too many wrong keys came from this address", retry_after_s=wait_s)


def _request_id(scope: Scope) -> str:
    return str(scope.get("state", {}).get("request_id", ""))


def describe(schema: dict[str, Any]) -> None:
    """Say in an OpenAPI description that the service asks for a key."""
    scheme = {"type": "http", "scheme": "bearer", "description": "The key of the service (`GRAPHWIRE_API_KEY`)."}
    schema.setdefault("components", {}).setdefault("securitySchemes", {})["key"] = scheme
    schema["security"] = [{"key": []}]
    refused = {str(status): answer for status, answer in refusals.responses(Unauthorized).items()}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if path.startswith(_HEALTH):
                operation["security"] = []
            else:
                operation["responses"].update(refused)
