"""The form in which consecutive events and deltas are stored: lines joined by LF, with a checksum."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias
from zlib import crc32

from graphwire.errors import HistoryDamaged
from graphwire.events.hub import Published
from graphwire.types import ExecutionId

FORMAT = 1
MAX_CHUNK_BYTES = 131_072

ChunkRow: TypeAlias = tuple[str, int, int, int, int, bytes, bytes | None]


class Chunk(NamedTuple):
    """A stored row of ``event_chunks``, as it was read."""

    first_seq: int
    last_seq: int
    format: int
    checksum: int
    events: bytes
    deltas: bytes | None


def encode_chunks(execution_id: ExecutionId, events: Sequence[Published], deltas: Sequence[bytes]) -> list[ChunkRow]:
    """Return the rows for a batch. The deltas are in the first.

    A reader loads whole rows, so that none is much larger than what it asks for.

    Raises:
        ValueError: An event or a delta holds a line break, or there are deltas without an event.
    """
    if deltas and not events:
        raise ValueError("deltas are stored with the events of their commits")
    joined = join(deltas) if deltas else None
    rows: list[ChunkRow] = []
    for part in _parts(events):
        lines = join([event.line for event in part])
        checksum = crc32(joined or b"", crc32(lines))
        rows.append((execution_id, part[0].seq, part[-1].seq, FORMAT, checksum, lines, joined))
        joined = None
    return rows


def join(documents: Sequence[bytes]) -> bytes:
    """Return JSON documents as lines, without a last line break."""
    joined = b"\n".join(documents)
    if joined.count(b"\n") != len(documents) - 1:
        raise ValueError("a stored document holds a line break")
    return joined


def check(execution_id: ExecutionId, chunk: Chunk) -> None:
    """See that a row is what was written.

    Raises:
        HistoryDamaged: It is not, or a newer version wrote it.
    """
    if chunk.format != FORMAT:
        raise HistoryDamaged(
            f"Events from {chunk.first_seq} on are stored in format {chunk.format}; this version reads {FORMAT}.",
            execution_id=execution_id,
            seq=chunk.first_seq,
        )
    if crc32(chunk.deltas or b"", crc32(chunk.events)) != chunk.checksum:
        raise HistoryDamaged(
            f"The stored events {chunk.first_seq} to {chunk.last_seq} do not fit their checksum.",
            execution_id=execution_id,
            seq=chunk.first_seq,
        )


def _parts(events: Sequence[Published]) -> Iterator[Sequence[Published]]:
    begin = size = 0
    for place, event in enumerate(events):
        size += len(event.line)
        if size > MAX_CHUNK_BYTES and place > begin:
            yield events[begin:place]
            begin, size = place, len(event.line)
    if begin < len(events):
        yield events[begin:]
