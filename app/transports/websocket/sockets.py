"""The sockets of this process: how many there may be, and what they are told when it stops."""

from app.transports.websocket.connection import Connection


class Sockets:
    """Knows the open sockets.

    Args:
        limit: How many there may be at once.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._open: set[Connection] = set()
        self._is_draining = False

    def __len__(self) -> int:
        return len(self._open)

    @property
    def is_full(self) -> bool:
        """Whether there are as many as there may be."""
        return len(self._open) >= self._limit

    @property
    def is_draining(self) -> bool:
        """Whether no socket is opened any more."""
        return self._is_draining

    async def serve(self, connection: Connection) -> None:
        """Serve a socket until it is closed."""
        self._open.add(connection)
        try:
            await connection.serve()
        finally:
            self._open.discard(connection)

    def drain(self) -> None:
        """Close every socket. Their subscriptions, whose readers are told, end before. Idempotent."""
        self._is_draining = True
        for connection in list(self._open):
            connection.drain()
