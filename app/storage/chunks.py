"""The form in which consecutive events and deltas are stored: lines joined by LF, with a checksum."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias
from zlib import crc32

from msgspec import DecodeError

from graphwire.errors import HistoryDamaged
from graphwire.events.encoding import LF, read_published
from graphwire.events.hub import Published
from graphwire.types import ExecutionId

FORMAT = 1
MAX_CHUNK_BYTES = 131_072
DELTA_CHUNKS = 64
"""Deltas of so many chunks are read at once."""

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
    lines = [event.line for event in events]
    for begin, end in _parts(lines):
        body = _join(lines[begin:end])
        first_seq, last_seq = events[begin].seq, events[end - 1].seq
        deltas_checksum = None if joined is None else crc32(joined)
        rows.append((execution_id, first_seq, last_seq, FORMAT, crc32(body), deltas_checksum, body, joined))
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
    if LF in b"".join(documents):  # looking for the first takes a fifth of the time of counting them
        raise ValueError("a stored document holds a line break")
    return b"\n".join(documents)


def _parts(lines: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    begin = size = 0
    if sum(map(len, lines)) > MAX_CHUNK_BYTES:  # else, as nearly always, all of them are one part
        for place, line in enumerate(lines):
            size += len(line)
            if size > MAX_CHUNK_BYTES and place > begin:
                yield begin, place
                begin, size = place, len(line)
    if begin < len(lines):
        yield begin, len(lines)
