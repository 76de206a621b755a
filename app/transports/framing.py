"""What all streams of events have in common: order, silence, and the end. The form of the bytes is the caller's."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from typing import Protocol

from app.services.readers import Reader
from app.transports.compression import IDENTITY, Coder
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
        """Return a notice, nothing where it is not told; ``cursor`` is the reader's place, None while it has none."""
        ...

    @property
    def silence(self) -> bytes | None:
        """What keeps a quiet connection alive; None where that takes the notice ``heartbeat``."""
        ...


async def stream(
    reader: Reader,
    form: Form,
    coder: Coder = IDENTITY,
    *,
    heartbeat_s: float,
    clock: Clock,
    follow: Callable[[], Awaitable[bool]] | None = None,
) -> AsyncGenerator[bytes, None]:
    """Give the writes of a stream until it ends. Whoever iterates closes the reader.

    Args:
        follow: Has the reader served in another way for as long as that can be; False where it cannot be now.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + heartbeat_s

    def written(notice: Notice) -> bytes:
        place = reader.place
        line = encode_notice(notice, execution_id=reader.execution_id, wall_ns=clock.wall_ns(), after=place)
        return form.notice(notice.type, line, place)

    while True:
        if follow is not None and await follow():
            due = loop.time() + heartbeat_s
        match await reader.read(max(0.0, due - loop.time())):
            case Page(items=items) if items:
                for write in form.events(items):
                    yield coder.piece(write)
            case NoticeItem(notice=notice):
                write = written(notice)
                if not write:
                    continue
                yield coder.piece(write)
            case End():
                if end := coder.end():
                    yield end
                return
            case Page() if loop.time() < due:
                continue  # all was left out by the filter: to the reader it is silent still
            case _:
                silence = form.silence
                yield coder.piece(written(Heartbeat()) if silence is None else silence)
                coder.restart()  # whoever waits long keeps no compressor
        due = loop.time() + heartbeat_s


def chunk(piece: bytes) -> bytes:
    """Return a part of a body as a chunk (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


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
