"""Opening handshakes of WebSockets (RFC 6455 §4.2), read and answered by the library ``websockets``."""

from collections.abc import Iterable
from dataclasses import dataclass

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

_READ = frozenset({b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions"})
_MAX_HEADER_BYTES = 4_096
_DEFLATE = ServerPerMessageDeflateFactory(
    # Small windows: 43 KiB for each socket that has it negotiated, where zlib's defaults take 300.
    server_max_window_bits=12,
    client_max_window_bits=12,
    compress_settings={"memLevel": 5},
)


@dataclass(slots=True)
class Opening:
    """A handshake that may become a WebSocket.

    Attributes:
        protocol: Reads and writes the frames, with what both sides have agreed on.
        response: The answer that makes it one.
    """

    protocol: ServerProtocol
    response: Response


def read_opening(headers: Iterable[tuple[bytes, bytes]], *, max_message_bytes: int) -> Opening | None:
    """Read the headers of a GET that asks for an upgrade to a WebSocket; None where they are no handshake.

    Args:
        headers: Names in small letters.
        max_message_bytes: What is longer, also after inflating, fails the connection (1009).
    """
    lines = [b"GET / HTTP/1.1", b"Upgrade: websocket", b"Connection: Upgrade"]
    for name, value in headers:
        if name in _READ:
            if len(value) > _MAX_HEADER_BYTES:
                return None
            lines.append(name + b": " + value)
    protocol = ServerProtocol(extensions=[_DEFLATE], max_size=max_message_bytes)
    protocol.receive_data(b"\r\n".join([*lines, b"", b""]))
    request = next(iter(protocol.events_received()), None)
    if not isinstance(request, Request):
        return None
    response = protocol.accept(request)
    return Opening(protocol, response) if response.status_code == 101 else None
