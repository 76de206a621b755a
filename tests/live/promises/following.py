"""A conforming client on a socket: it keeps whole frames only, and comes back behind the last one."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, TypeAlias

from tests.live.promises.forms import Event, Notice, Outcome, Session, Wish

PIECE = 65_536
NO_QUERY: Mapping[str, str] = MappingProxyType({})
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)

Watcher: TypeAlias = Callable[["Follower"], None]


class Connection:
    """One connection of a follower."""

    def __init__(self, plain: socket.socket, session: Session, follower: "Follower") -> None:
        self.plain = plain
        self.session = session
        self.follower = follower
        self.received = 0
        self.is_lost = False

    async def step(self, most: int = PIECE) -> bool:
        """Send what is to be sent and take what comes, at most so many bytes; False when no more does."""
        loop = asyncio.get_running_loop()
        await self._send(loop)
        try:
            data = await loop.sock_recv(self.plain, most)
        except ConnectionResetError:
            data = b""
        if not data:
            self.is_lost = True
            return False
        self.received += len(data)
        self.follower.take(self.session, data)
        if self.session.outcome is None:
            return True
        await self._send(loop)
        return False

    async def until(self, is_there: Callable[[], bool]) -> None:
        """Read until something is so; the connection must not end before."""
        while not is_there():
            assert await self.step(), f"the connection ended: {self.session.status} {self.session.outcome}"

    async def until_event(self, seq: int) -> None:
        """Read until this event was received."""
        await self.until(lambda: bool(self.follower.events) and self.follower.events[-1].seq >= seq)

    async def end(self) -> Outcome | None:
        """Read to the end; None where it was no orderly one."""
        while await self.step():
            pass
        return self.session.outcome

    async def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        sending, self.session.sending = self.session.sending, b""
        if sending:
            await loop.sock_sendall(self.plain, sending)

    def reset(self) -> None:
        """Have the close cut the connection, not end it."""
        self.plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)


class Follower:
    """A client of one execution's stream, over as many connections as it takes.

    Attributes:
        events: Each once, in order: what breaks that fails at once.
        place: The cursor; None before the first frame.
        port: Where the next connection leads to.
        outcome: Of the last connection; likewise ``problem``, and ``farewell``, the notice that it ended with.
        watch: Called after each piece of a connection was taken.
    """

    def __init__(
        self,
        form: type[Session],
        port: int,
        execution: str,
        *,
        after: int | None = None,
        watch: Watcher | None = None,
        query: Mapping[str, str] = NO_QUERY,
    ) -> None:
        self._form = form
        self.port = port
        self.execution = execution
        self._wish = Wish(execution, query)
        self.place = after
        self.events: list[Event] = []
        self.notices: list[Notice] = []
        self.signs = 0
        self.connections = 0
        self.outcome: Outcome | None = None
        self.problem: Mapping[str, Any] = {}
        self.farewell: Notice | None = None
        self._watch = watch

    @property
    def lines(self) -> list[bytes]:
        """The events' bytes."""
        return [event.line for event in self.events]

    @property
    def seqs(self) -> list[int]:
        return [event.seq for event in self.events]

    def told(self, type: str) -> list[Notice]:
        """Return the notices of a type."""
        return [notice for notice in self.notices if notice.type == type]

    @asynccontextmanager
    async def connected(self, *, receive_buffer: int | None = None) -> AsyncIterator[Connection]:
        """Open a connection that goes on where the last one was left."""
        with socket.socket() as plain:
            plain.setblocking(False)
            if receive_buffer is not None:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", self.port))
            self.connections += 1
            self.problem, self.farewell = {}, None
            yield Connection(plain, self._form(self._wish, self.place), self)

    async def follow(self) -> Outcome | None:
        """Read over one connection until the server ends it; None where that was no orderly end."""
        async with self.connected() as connection:
            return await connection.end()

    async def follow_to(self, most_bytes: int, *, resets: bool = False) -> bool:
        """Read over one connection that is cut after so many bytes; False when the stream ended before."""
        async with self.connected() as connection:
            while connection.received < most_bytes:
                if not await connection.step(most_bytes - connection.received):
                    return connection.session.outcome is None
            if resets:
                connection.reset()
            return True

    async def follow_with_cuts(self, cuts: Iterable[int], chance: random.Random) -> None:
        """Read to the end over connections that are cut after so many bytes each, the last one not."""
        for cut in cuts:
            if not await self.follow_to(cut, resets=chance.random() < 0.5) and not self.is_to_come_back:
                break
        else:
            await self.follow()
        while self.is_to_come_back:
            await self.follow()
        assert self.outcome in ("end", "nothing"), (
            f"{self._form.name} after {self.place}: {self.outcome} {self.problem}"
        )
        assert self.farewell is None, self.farewell

    @property
    def is_to_come_back(self) -> bool:
        """Whether the last connection is to be tried again: readers may be more than a machine can take at once."""
        return self.problem.get("status") == 503 or (
            self.farewell is not None and "retry_ms" in self.farewell.value["data"]
        )

    def take(self, session: Session, data: bytes) -> None:
        """Take bytes of a connection."""
        for frame in session.receive(data):
            match frame:
                case Event(seq=seq):
                    last = self.events[-1].seq if self.events else 0
                    assert seq > last, f"event {seq} after event {last}"
                    self.events.append(frame)
                case Notice():
                    self.notices.append(frame)
                    if frame.type == "stream_closed":
                        self.farewell = frame
        self.place, self.outcome, self.problem = session.place, session.outcome, session.problem
        self.signs = max(self.signs, session.signs)
        if self._watch is not None:
            self._watch(self)


def cuts_of(chance: random.Random, count: int, *, largest: int) -> list[int]:
    """Draw places for cuts: in the head, in the first frames, and far behind."""
    most = (200, 1_000, largest)
    return [chance.randint(1, chance.choice(most)) for _ in range(count)]
