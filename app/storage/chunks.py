"""The form in which consecutive events and deltas are stored: lines joined by LF, with a checksum."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias
from zlib import crc32

from msgspec import DecodeError

from graphwire.errors import HistoryDamaged
from graphwire.events.encoding import read_published
from graphwire.events.hub import Published
from graphwire.types import ExecutionId

FORMAT = 1
MAX_CHUNK_BYTES = 131_072

ChunkRow: TypeAlias = tuple[str, int, int, int, int, int | None, bytes, bytes | None]


def encode_chunks(execution_id: ExecutionId, events: Sequence[Published], deltas: Sequence[bytes]) -> list[ChunkRow]:
    """Return the rows for a batch. The deltas are in the first.

    A reader loads whole rows, so that none is much larger than what it asks for.

    Raises:
        ValueError: An event or a delta holds a line break, or there are deltas without an event.
    """
    if deltas and not events:
        raise ValueError("deltas are stored with the events of their commits")
    joined = _join(deltas) if deltas else None
    rows: list[ChunkRow] = []
    for part in _parts(events):
        lines = _join([event.line for event in part])
        deltas_checksum = None if joined is None else crc32(joined)
        rows.append((execution_id, part[0].seq, part[-1].seq, FORMAT, crc32(lines), deltas_checksum, lines, joined))
        joined = None
    return rows


def split(execution_id: ExecutionId, first_seq: int, format: int, checksum: int | None, body: bytes) -> list[bytes]:
    """Return the documents of a stored column.

    Raises:
        HistoryDamaged: It is not what was written, or a newer version wrote it.
    """
    if format != FORMAT:
        raise HistoryDamaged(
            f"Events from {first_seq} on are stored in format {format}; this version reads {FORMAT}.",
            execution_id=execution_id,
            seq=first_seq,
        )
    if crc32(body) != checksum:
        raise HistoryDamaged(
            f"What is stored from event {first_seq} on does not fit its checksum.",
            execution_id=execution_id,
            seq=first_seq,
        )
    return body.split(b"\n")


def decode_events(lines: Sequence[bytes], *, first_seq: int, last_seq: int, after: int) -> Iterator[Published]:
    """Yield the events of a chunk with ``seq > after``, one by one as they are asked for.

    Raises:
        HistoryDamaged: The next line is no event, though its checksum fits.
    """
    # Without a jump in its numbers a chunk says by itself where an event is.
    skip = max(0, after + 1 - first_seq) if len(lines) == last_seq - first_seq + 1 else 0
    for line in lines[skip:] if skip else lines:
        try:
            event = read_published(line)
        except DecodeError:
            raise HistoryDamaged(f"What is stored from event {first_seq} on is no event.", seq=first_seq) from None
        if event.seq > after:
            yield event


def _join(documents: Sequence[bytes]) -> bytes:
    joined = b"\n".join(documents)
    if joined.count(b"\n") != len(documents) - 1:
        raise ValueError("a stored document holds a line break")
    return joined


def _parts(events: Sequence[Published]) -> Iterator[Sequence[Published]]:
    begin = size = 0
    for place, event in enumerate(events):
        size += len(event.line)
        if size > MAX_CHUNK_BYTES and place > begin:
            yield events[begin:place]
            begin, size = place, len(event.line)
    if begin < len(events):
        yield events[begin:]
