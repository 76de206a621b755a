"""A service whose connections do what a test says, and time that moves only when somebody waits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphwire.client.backoff import Retry
from graphwire.client.choice import Transport, TransportChoice, Wanted
from graphwire.client.connection import Arrival, Connection, Position
from graphwire.client.errors import ClientError, ConnectionFailed
from graphwire.client.following import Following
from graphwire.client.status import StreamStatus
from graphwire.client.timing import Timing
from graphwire.events.encoding import Envelope
from graphwire.events.notices import Heartbeat, NoticeEnvelope, StreamClosed

AWAY = ConnectionFailed("away", was_open=False)
BROKEN = ConnectionFailed("broken", was_open=True)


def event(seq: int, kind: str = "x_said", node: str | None = None, **members: Any) -> Envelope:
    """Return an event of no known type, unless another is named."""
    return Envelope(
        seq=seq,
        type=kind,
        code=999,
        execution_id="e",
        graph_id="g",
        node_id=node,
        ts=f"2026-11-20T19:45:{seq % 60:02}.000000Z",
        mono_ns=seq,
        data={},
        **members,
    )


def history(count: int) -> list[Envelope]:
    """Return a whole history."""
    return [*(event(seq) for seq in range(1, count)), event(count, "stream_end")]


def heartbeat(after: int) -> NoticeEnvelope:
    """Return a sign of life."""
    return NoticeEnvelope(type="heartbeat", code=20, ts="", after=after, data=Heartbeat())


def closed(code: Any, after: int, **members: Any) -> NoticeEnvelope:
    """Return the notice that ends a connection."""
    data = StreamClosed(reason=code, detail="so it is", **members)
    return NoticeEnvelope(type="stream_closed", code=50, ts="", after=after, data=data)


@dataclass
class Script:
    """What one connection does.

    Attributes:
        refusal: It does not open.
        reads: It gives so many events at each read, then breaks; None gives all.
        says: What it gives before any event.
        repeats: It begins so many events too early, which no service of ours does.
        breaks: How it breaks.
        only: The transport that it is open to; others are refused.
    """

    refusal: ClientError | None = None
    reads: Sequence[int] | None = None
    says: Sequence[Arrival] = ()
    repeats: int = 0
    breaks: ClientError = BROKEN


class FakeConnection:
    """Fulfils ``Connection``."""

    def __init__(self, events: list[Envelope], script: Script) -> None:
        self._events = events
        self._script = script
        self._says = list(script.says)
        self._reads: Iterator[int] = iter([len(events)] if script.reads is None else script.reads)
        self.is_closed = False
        self.handed_out = 0

    async def read(self) -> list[Arrival] | None:
        if self._says:
            said, self._says = self._says, []
            return list(said)
        size = next(self._reads, None)
        if size is None:
            raise self._script.breaks
        taken, self._events = self._events[:size], self._events[size:]
        return list(taken)

    async def handed(self, events: int) -> None:
        self.handed_out += events

    async def close(self) -> None:
        self.is_closed = True


@dataclass
class FakeService:
    """Opens connections by a list of scripts; behind its end all goes well.

    Attributes:
        opened: Transport and place of each connection that was asked for.
        slept: The waits.
    """

    events: list[Envelope]
    scripts: list[Script] = field(default_factory=list)
    blocked: dict[Transport, ClientError] = field(default_factory=dict)
    opened: list[tuple[Transport, int]] = field(default_factory=list)
    connections: list[FakeConnection] = field(default_factory=list)
    statuses: list[StreamStatus] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    now: float = 1_000.0

    async def open(self, transport: Transport, after: int) -> Connection:
        self.opened.append((transport, after))
        if transport in self.blocked:
            raise self.blocked[transport]
        script = self.scripts.pop(0) if self.scripts else Script()
        if script.refusal is not None:
            raise script.refusal
        left = [each for each in self.events if each.seq > after - script.repeats]
        self.connections.append(FakeConnection(left, script))
        return self.connections[-1]

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def timing(self) -> Timing:
        return Timing(now=lambda: self.now, sleep=self.sleep, random=lambda: 0.5)

    def follow(
        self,
        *,
        after: int = 0,
        wanted: Wanted = "sse",
        attempts: int | None = 3,
        choice: TransportChoice | None = None,
    ) -> Following:
        return Following(
            self.open,
            after=after,
            wanted=wanted,
            choice=choice or TransportChoice(lambda: self.now),
            retry=Retry(attempts=attempts),
            timing=self.timing(),
            tell=self.statuses.append,
        )

    @property
    def told(self) -> list[str]:
        return [status.name for status in self.statuses]


async def read_all(following: Following) -> list[int]:
    """Read to the end and return the numbers of the events."""
    numbers: list[int] = []
    while True:
        while (item := following.take()) is not None:
            if isinstance(item, Envelope):
                numbers.append(item.seq)
        if following.is_over:
            following.conclude()
            return numbers
        await following.advance()


__all__ = ["AWAY", "BROKEN", "FakeService", "Position", "Script", "closed", "event", "heartbeat", "history", "read_all"]
