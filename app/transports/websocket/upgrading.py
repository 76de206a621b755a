"""HTTP connections that become WebSockets where a request asks for it and its address is a socket's."""

import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import httptools

from app.transports.heads import BoundedHeads
from app.transports.peers import let_go_when_silent
from app.transports.websocket.handshake import Opening, read_opening
from app.transports.websocket.protocol import SocketBounds, SocketProtocol


class Upgrading(BoundedHeads):
    """One connection that may become a WebSocket.

    Every other upgrade is passed over (RFC 9110 §7.8): to another protocol, at another address, with a body, without
    a proper handshake, or while an earlier request of the connection is still being answered. The application then
    answers it as the plain request that it is.
    """

    is_socket: Callable[[str], bool] = staticmethod(lambda path: False)
    """Whether a path is a socket's."""
    socket_bounds: SocketBounds = SocketBounds()

    _opening: Opening | None = None
    _is_opening_read = False
    _newest = b""

    def data_received(self, data: bytes) -> None:
        self._newest = data
        super().data_received(data)
        self._newest = b""

    def on_message_begin(self) -> None:
        self._opening, self._is_opening_read = None, False
        super().on_message_begin()

    def _should_upgrade(self) -> bool:
        """Uvicorn's name for it, which asks when the head is read, and once more when the parser stops behind it."""
        if not self._is_opening_read:
            self._is_opening_read = True
            self._opening = self._read_opening()
        return self._opening is not None

    def _read_opening(self) -> Opening | None:
        is_first = self.cycle is None or self.cycle.response_complete
        if not is_first or self.flow.write_paused or self._get_upgrade() != b"websocket":
            return None
        if self.parser.get_method() != b"GET" or self.parser.get_http_version() != "1.1":
            return None
        if any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers):
            return None
        if not self.is_socket(self._path()):
            return None
        return read_opening(self.headers, max_message_bytes=self.socket_bounds.max_message_bytes)

    def _path(self) -> str:
        return unquote(httptools.parse_url(self.url).path.decode("ascii"))

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over. Uvicorn's name for it; it calls it while the parser's exception is handled."""
        assert self._opening is not None
        stop = sys.exc_info()[1]
        assert isinstance(stop, httptools.HttpParserUpgrade)
        early = self._newest[stop.args[0] :]
        address = httptools.parse_url(self.url)
        scope: dict[str, Any] = {
            **{name: value for name, value in self.scope.items() if name != "method"},
            "type": "websocket",
            "asgi": {"version": self.asgi_version, "spec_version": "2.4"},
            "scheme": "wss" if self.scheme == "https" else "ws",
            "path": self.root_path + self._path(),
            "raw_path": self.root_path.encode() + address.path,
            "query_string": address.query or b"",
            "subprotocols": _subprotocols(self.headers),
        }
        socket = SocketProtocol(
            self._opening,
            scope,
            self.app,
            bounds=self.socket_bounds,
            connections=self.connections,
            tasks=self.tasks,
            headers=self.server_state.default_headers,
        )
        self._hurry_no_more()
        let_go_when_silent(self.transport.get_extra_info("socket"), None)  # a stream may have been sent before
        self.connections.discard(self)
        self.transport.set_protocol(socket)
        self.flow.resume_reading()
        socket.connection_made(self.transport)
        if early:
            socket.data_received(early)


def _subprotocols(headers: list[tuple[bytes, bytes]]) -> list[str]:
    offered = b",".join([value for name, value in headers if name == b"sec-websocket-protocol"])
    return [part for each in offered.decode("latin-1").split(",") if (part := each.strip())]
