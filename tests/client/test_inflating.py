import collections
import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given, strategies as st

from graphwire.client.errors import UnexpectedAnswer
from graphwire.client.inflating import Inflating


@given(data=st.binary(max_size=5_000), cuts=st.lists(st.integers(0, 6_000), max_size=5), times=st.integers(1, 60))
def test_what_was_compressed_comes_out_however_it_is_split(data: bytes, cuts: list[int], times: int) -> None:
    packed = gzip.compress(data * times)
    places = sorted(min(cut, len(packed)) for cut in cuts)
    inflating = Inflating("gzip")

    out = [
        piece
        for a, b in zip([0, *places], [*places, len(packed)], strict=True)
        for piece in inflating.feed(packed[a:b])
    ]

    assert b"".join(out) == data * times
    assert all(len(piece) <= 65_536 for piece in out)


def test_what_was_flushed_comes_out_at_once() -> None:
    packer = zlib.compressobj(wbits=31)
    inflating = Inflating("gzip")

    for number in range(3):
        event = b"data: %d\n\n" % number
        assert b"".join(inflating.feed(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH))) == event


@pytest.mark.capability("CMP-07")
def test_a_small_answer_that_becomes_a_huge_one_is_refused_and_never_in_memory() -> None:
    packed = gzip.compress(bytes(2**27))  # 130 KB that become 128 MB
    inflating = Inflating("gzip")
    pieces = inflating.feed(packed[:16_384])

    tracemalloc.start()
    with pytest.raises(UnexpectedAnswer, match="beyond all measure"):
        collections.deque(pieces, maxlen=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 2**20


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "gzip, br"])
def test_a_coding_that_was_not_asked_for_is_refused(coding: str) -> None:
    with pytest.raises(UnexpectedAnswer, match="not asked for"):
        Inflating(coding)


def test_what_is_no_gzip_is_refused() -> None:
    with pytest.raises(UnexpectedAnswer, match="broken"):
        list(Inflating("gzip").feed(b"data: a\n\n"))
