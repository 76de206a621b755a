import random

import pytest
from hypothesis import given, strategies as st

from app.transports.compression import CODINGS, IDENTITY, Coder
from tests.transports.decoding import decoded, is_whole

BLOCK = b'event: node_message\ndata: {"seq":%d,"type":"node_message","data":{"message":"word"}}\nid: %d\n\n'
WRITES = st.one_of(
    st.integers(1, 400).map(lambda number: BLOCK % (number, number)),
    st.binary(min_size=1, max_size=60),
    st.integers(1, 99).map(lambda seed: random.Random(seed).randbytes(9_000)),
)

each_coding = pytest.mark.parametrize("coding", CODINGS)


class Reader:
    """What one reader was sent, and what it should find in that.

    Attributes:
        marks: How long ``sent`` and ``plain`` were after each write.
    """

    def __init__(self, coder: Coder) -> None:
        self.coder = coder
        self.sent = b""
        self.plain = b""
        self.marks = [(0, 0)]

    def get(self, write: bytes, piece: bytes) -> None:
        """Take a piece that holds a write."""
        self.plain += write
        self.sent += piece
        self.marks.append((len(self.sent), len(self.plain)))


def test_zstd_is_there_for_the_tests() -> None:
    assert list(CODINGS) == ["gzip", "zstd"]


@each_coding
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("own"), st.integers(0, 2), WRITES),
            st.tuples(st.just("join"), st.integers(0, 2), WRITES),
            st.tuples(st.just("part"), st.integers(0, 2), st.just(b"")),
            st.tuples(st.just("rest"), st.integers(0, 2), st.just(b"")),
            st.tuples(st.just("shared"), st.just(0), WRITES),
        ),
        max_size=30,
    ),
    cut=st.floats(0, 1),
)
def test_whoever_made_the_pieces_each_reader_decodes_what_was_written_to_it(
    coding: str, steps: list[tuple[str, int, bytes]], cut: float
) -> None:
    common = CODINGS[coding].compressor()
    readers = [Reader(CODINGS[coding].coder()) for _ in range(3)]
    following: set[int] = set()

    for step, number, write in steps:
        reader = readers[number]
        if step == "own" or (step == "join" and number not in following):
            # Who was away from the shared pieces takes part again from a restart on.
            following.discard(number)
            reader.get(write, reader.coder.piece(write))
        if step == "join" and number not in following:
            reader.coder.restart()
            common.restart()
            following.add(number)
        elif step == "part":
            following.discard(number)
        elif step == "rest" and number not in following:
            reader.coder.restart()
        elif step == "shared" and following:
            piece = common.piece(write)
            for each in following:
                readers[each].coder.took(write)
                readers[each].get(write, piece)

    for reader in readers:
        for sent, plain in reader.marks:
            assert decoded(coding, reader.sent[:sent]) == reader.plain[:plain]
        part = decoded(coding, reader.sent[: int(cut * len(reader.sent))])
        assert reader.plain.startswith(part)
        end = reader.coder.end()
        assert decoded(coding, reader.sent + end) == reader.plain
        assert is_whole(coding, reader.sent + end) == bool(reader.plain)
        assert not (reader.sent and is_whole(coding, reader.sent))


@each_coding
def test_events_that_resemble_each_other_take_little_after_the_first(coding: str) -> None:
    coder = CODINGS[coding].coder()

    pieces = [coder.piece(BLOCK % (number, number)) for number in range(100, 140)]

    assert max(map(len, pieces[1:])) < len(pieces[0]) / 2


@each_coding
def test_a_body_without_a_write_is_empty(coding: str) -> None:
    assert CODINGS[coding].coder().end() == b""


def test_identity_is_what_was_written() -> None:
    assert IDENTITY.piece(b"data: 1\n\n") == b"data: 1\n\n"
    assert IDENTITY.end() == b""
