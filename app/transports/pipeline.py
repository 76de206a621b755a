"""The requests of one connection that are still to be answered, in their order."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_AHEAD_BYTES = 64 * 1024


class Pipelined(HttpToolsProtocol):
    """One connection that goes on reading while it answers, so that it notices when its client leaves.

    What arrives ahead of its turn is read up to ``MAX_AHEAD_BYTES``; a client that sends more is held back until then,
    and its leaving is noticed no sooner than at the next write.
    """

    _is_deaf = False
    _ahead_bytes = 0
    _running: RequestResponseCycle | None = None
    """The request that is being answered, or was last."""

    def data_received(self, data: bytes) -> None:
        if not self._is_deaf:
            super().data_received(data)
        if self.pipeline or self._is_deaf:
            self._ahead_bytes += len(data)
            self._read_ahead()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline:
            self._ahead_bytes = 0

    def connection_lost(self, exc: Exception | None) -> None:
        running = self._running
        if running is not None and not running.response_complete:  # Uvicorn tells the newest only
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _hear_no_more(self) -> None:
        """Drop whatever arrives from now on."""
        self._is_deaf = True

    def _drop_newest(self) -> None:
        """Forget the newest request, which waits for its turn."""
        self.pipeline.popleft()
        newest = self.pipeline[0][0] if self.pipeline else self._running
        assert newest is not None
        self.cycle = newest

    def _read_ahead(self) -> None:
        """Go on reading, where Uvicorn stops at the first request that has to wait."""
        if self.transport.is_closing():
            return
        if self._ahead_bytes <= MAX_AHEAD_BYTES:
            self.flow.resume_reading()
        else:
            self.flow.pause_reading()
