"""One stream over whatever connections it takes: resumed exactly, on the transport that works."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from graphwire.client.backoff import Backoff, Retry, wished_wait
from graphwire.client.choice import Transport, TransportChoice, Wanted
from graphwire.client.connection import AnyEvent, Arrival, Connection, Position
from graphwire.client.errors import (
    ClientError,
    ConnectionFailed,
    GaveUp,
    ProblemError,
    StreamClosedError,
    UnexpectedAnswer,
)
from graphwire.client.sse_connection import SseConnection
from graphwire.client.status import StreamStatus
from graphwire.client.timing import Timing
from graphwire.events.encoding import Envelope
from graphwire.events.notices import NoticeEnvelope, StreamClosed
from graphwire.events.service_encoding import ServiceEnvelope

PASSING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
FINAL_CLOSES: Final = frozenset({"deleted", "unauthorized", "history_damaged"})
STABLE_S: Final = 10.0
"""A connection that has lived so long works, even if no event came."""
FRUITLESS: Final = 2
"""So many connections in a row on which nothing came say that the transport does not get through."""

Open = Callable[[Transport, int], Awaitable[Connection]]


class Following:
    """The events of a stream in order, each once, from a place to its end.

    ``advance`` takes one step and may wait; what it brought is taken by ``take``. What is received and what is handed
    out have cursors of their own, so a stream that is resumed later goes on behind what its reader has really seen.

    Attributes:
        cursor: The ``seq`` up to which everything was handed out.
        error: Why it was given up; None while it was not.
    """

    def __init__(
        self,
        open: Open,
        *,
        after: int,
        wanted: Wanted,
        choice: TransportChoice,
        retry: Retry,
        timing: Timing,
        tell: Callable[[StreamStatus], None],
    ) -> None:
        self._open = open
        self._wanted = wanted
        self._choice = choice
        self._backoff = Backoff(retry, timing.random)
        self._timing = timing
        self._tell = tell
        self._arrived: deque[Arrival] = deque()
        self._received = after
        self._handed = 0
        self._connection: Connection | None = None
        self._transport: Transport | None = None
        self._live_since = 0.0
        self._is_fruitful = False
        self._fruitless: dict[Transport, int] = {}
        self._delay_s: float | None = None
        self._over = False
        self._last_word: StreamStatus | None = None
        self.cursor = after
        self.error: ClientError | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will arrive; what has arrived may still be taken."""
        return self._over

    @property
    def transport(self) -> Transport | None:
        """What it is connected by; None while it is not."""
        return None if self._connection is None else self._transport

    def take(self) -> AnyEvent | NoticeEnvelope | None:
        """Return the next thing that has arrived, and move the cursor behind it; None if there is none."""
        while self._arrived:
            match self._arrived.popleft():
                case (Envelope() | ServiceEnvelope()) as event:
                    self.cursor = event.seq
                    self._handed += 1
                    return event
                case NoticeEnvelope() as notice:
                    self.cursor = max(self.cursor, notice.after or 0)
                    return notice
                case Position(after=after):
                    self.cursor = max(self.cursor, after)
        return None

    async def advance(self) -> None:
        """Take the next step: read once, or connect, or wait before doing so. Errors end in ``error``.

        Cancelling it loses nothing: the connection is given up, and the next step makes a new one.
        """
        try:
            if self._delay_s is not None:
                await self._timing.sleep(self._delay_s)
                self._delay_s = None
            if self._connection is None or self._moves_up():
                await self._connect()
            else:
                await self._read(self._connection)
        except ClientError as failure:
            await self._drop()
            self._meet(failure)
        except BaseException:
            await self._drop()
            raise

    def conclude(self) -> None:
        """Tell the last status, once: its reader has taken everything and is at the end."""
        word, self._last_word = self._last_word, None
        if word is not None:
            self._tell(word)

    async def close(self) -> None:
        """Give the connection up. The stream cannot go on."""
        self._over = True
        await self._drop()

    def _moves_up(self) -> bool:
        return self._transport == "poll" and self._choice.has_better("poll", self._wanted)

    async def _connect(self) -> None:
        await self._drop()
        self._transport = self._choice.pick(self._wanted)
        if self._backoff.attempt == 0 and self._live_since == 0.0:
            self._tell(StreamStatus(name="connecting", transport=self._transport))
        self._is_fruitful = False
        self._connection = await self._open(self._transport, self._received)
        self._live_since = self._timing.now()
        self._handed = 0
        self._tell(StreamStatus(name="live", transport=self._transport))

    async def _read(self, connection: Connection) -> None:
        if self._handed:
            handed, self._handed = self._handed, 0
            await connection.handed(handed)
        arrived = await connection.read()
        if isinstance(connection, SseConnection) and connection.parser.retry_ms is not None:
            self._backoff.suggest(connection.parser.retry_ms / 1000)
        if arrived is None:
            await self._end()
            return
        for each in arrived:
            await self._receive(each)
        self._works()

    async def _receive(self, arrival: Arrival) -> None:
        if self._over:
            return
        match arrival:
            case Envelope() | ServiceEnvelope():
                if arrival.seq <= self._received:
                    return
                self._received = arrival.seq
                self._backoff.reset()
            case NoticeEnvelope(data=StreamClosed() as closed):
                self._received = max(self._received, arrival.after or 0)
                self._arrived.append(arrival)
                wait_s = closed.retry_ms / 1000 if isinstance(closed.retry_ms, int) else None
                raise StreamClosedError(closed.reason, closed.detail, retry_after_s=wait_s)
            case NoticeEnvelope(type="stream_closed", data=dict(data)):
                raise StreamClosedError(str(data.get("code")), str(data.get("detail")))
            case NoticeEnvelope():
                self._received = max(self._received, arrival.after or 0)
            case Position(after=after):
                self._received = max(self._received, after)
        self._arrived.append(arrival)
        if isinstance(arrival, Envelope) and arrival.type == "stream_end":
            await self._end()

    def _works(self) -> None:
        if not self._is_fruitful and self._transport is not None:
            self._is_fruitful = True
            self._fruitless.pop(self._transport, None)
            self._choice.works(self._transport)
        if self._timing.now() - self._live_since >= STABLE_S:
            self._backoff.reset()

    async def _end(self) -> None:
        self._over = True
        self._last_word = StreamStatus(name="ended")
        await self._drop()

    def _meet(self, failure: ClientError) -> None:
        """Decide what a failure means: the end, another transport at once, or another attempt later."""
        if is_final(failure):
            self._fail(failure)
            return
        assert self._transport is not None
        if self._is_blocked(failure, self._transport) and self._choice.block(self._transport, self._wanted):
            return
        if isinstance(failure, UnexpectedAnswer) and failure.status is not None and 400 <= failure.status < 500:
            self._fail(failure)
            return
        delay_s = self._backoff.next(wished_wait(failure))
        if delay_s is None:
            gave_up = GaveUp(self._backoff.attempt, failure)
            gave_up.__cause__ = failure
            self._fail(gave_up)
            return
        self._delay_s = delay_s
        self._tell(
            StreamStatus(
                name="reconnecting",
                transport=self._transport,
                attempt=self._backoff.attempt,
                delay_s=delay_s,
                error=failure,
            )
        )

    def _is_blocked(self, failure: ClientError, transport: Transport) -> bool:
        """Whether the fault is the transport's, so that another one may get through."""
        match failure:
            case UnexpectedAnswer(status=status):
                return status not in PASSING_STATUSES
            case ConnectionFailed(was_open=True, is_silent=is_silent) if not self._is_fruitful:
                self._fruitless[transport] = self._fruitless.get(transport, 0) + 1
                return is_silent or self._fruitless[transport] >= FRUITLESS
            case _:
                return False

    def _fail(self, error: ClientError) -> None:
        self._over = True
        self.error = error
        self._last_word = StreamStatus(name="failed", error=error)

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def is_final(failure: ClientError) -> bool:
    """Whether trying again cannot help: the service has said no."""
    match failure:
        case ProblemError(status=status):
            return status not in PASSING_STATUSES
        case StreamClosedError(code=code):
            return code in FINAL_CLOSES
        case _:
            return False
