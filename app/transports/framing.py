"""What all streams of events have in common: order, silence, and the end. The form of the bytes is the caller's."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Protocol

from app.services.readers import EventReader
from graphwire.clock import Clock
from graphwire.events.hub import End, NoticeItem, Page, Published
from graphwire.events.notices import Heartbeat, Notice, encode_notice

MAX_WRITE_BYTES = 65_536
"""What is ready together leaves in one write of at most so much; a single larger event is a write of its own."""


class Form(Protocol):
    """How events and notices are written."""

    def events(self, items: list[Published]) -> Iterable[bytes]:
        """Return the writes that carry these events."""
        ...

    def notice(self, name: str, line: bytes, cursor: int | None) -> bytes:
        """Return a notice; ``cursor`` is the reader's place, None while it has none."""
        ...

    @property
    def silence(self) -> bytes | None:
        """What keeps a quiet connection alive; None where that takes the notice ``heartbeat``."""
        ...


async def stream(reader: EventReader, form: Form, *, heartbeat_s: float, clock: Clock) -> AsyncGenerator[bytes, None]:
    """Give the writes of a stream until it ends. Whoever iterates closes the reader."""
    loop = asyncio.get_running_loop()
    due = loop.time() + heartbeat_s

    def written(notice: Notice) -> bytes:
        place = reader.place
        line = encode_notice(notice, execution_id=reader.execution_id, wall_ns=clock.wall_ns(), after=place)
        return form.notice(notice.type, line, place)

    while True:
        match await reader.read(max(0.0, due - loop.time())):
            case Page(items=items):
                if not items:
                    continue  # left out by the filter: to the reader it is silent still
                for write in form.events(items):
                    yield write
            case NoticeItem(notice=notice):
                yield written(notice)
            case End():
                return
            case None:
                silence = form.silence
                yield written(Heartbeat()) if silence is None else silence
        due = loop.time() + heartbeat_s


def joined(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Join frames to as few writes as ``MAX_WRITE_BYTES`` allows. A frame is never split."""
    parts: list[bytes] = []
    size = 0
    for frame in frames:
        if parts and size + len(frame) > MAX_WRITE_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
        parts.append(frame)
        size += len(frame)
    if parts:
        yield b"".join(parts)
