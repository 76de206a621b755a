import pytest
from hypothesis import given, strategies as st

from graphwire.client.errors import UnexpectedAnswer
from graphwire.client.sse import Block, SseParser

M = "message"

# A byte stream, and the blocks that it holds: (type, data, last event id). HTML Standard, §9.2.6.
CORPUS: list[tuple[bytes, list[tuple[str, bytes, str]]]] = [
    (b"", []),
    (b"\n", []),
    (b"\n\n\n", []),
    (b"data: a\n\n", [(M, b"a", "")]),
    (b"data:a\n\n", [(M, b"a", "")]),
    (b"data:  a\n\n", [(M, b" a", "")]),
    (b"data:\ta\n\n", [(M, b"\ta", "")]),
    (b"data: a \n\n", [(M, b"a ", "")]),
    (b"data: a\ndata: b\n\n", [(M, b"a\nb", "")]),
    (b"data: a\ndata\ndata: b\n\n", [(M, b"a\n\nb", "")]),
    (b"data\n\n", [(M, b"", "")]),
    (b"data:\n\n", [(M, b"", "")]),
    (b"data\ndata\n\n", [(M, b"\n", "")]),
    (b"data: a\n", []),
    (b"data: a", []),
    (b"data: a\n\ndata: b\n", [(M, b"a", "")]),
    (b"data: a\r\r", [(M, b"a", "")]),
    (b"data: a\r\n\r\n", [(M, b"a", "")]),
    (b"data: a\n\r\n", [(M, b"a", "")]),
    (b"data: a\r\n\n", [(M, b"a", "")]),
    (b"data: a\r\ndata: b\rdata: c\n\r", [(M, b"a\nb\nc", "")]),
    (b"\r\ndata: a\r\n\r\n\r\ndata: b\r\n\r\n", [(M, b"a", ""), (M, b"b", "")]),
    (b"\xef\xbb\xbfdata: a\n\n", [(M, b"a", "")]),
    (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
    (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [(M, b"a", "")]),
    (b"\xef\xbb\xbf\n\ndata: a\n\n", [(M, b"a", "")]),
    (b": a comment\n\n", []),
    (b":\n", []),
    (b":\n:\n:\ndata: a\n\n", [(M, b"a", "")]),
    (b"data: a\n: in between\ndata: b\n\n", [(M, b"a\nb", "")]),
    (b":data: a\n\n", []),
    (b"event: x\ndata: a\n\n", [("x", b"a", "")]),
    (b"data: a\nevent: x\n\n", [("x", b"a", "")]),
    (b"event: x\nevent: y\ndata: a\n\n", [("y", b"a", "")]),
    (b"event: x\n\ndata: a\n\n", [(M, b"a", "")]),
    (b"event: x\ndata: a\n\ndata: b\n\n", [("x", b"a", ""), (M, b"b", "")]),
    (b"event\ndata: a\n\n", [(M, b"a", "")]),
    (b"id: 1\ndata: a\n\n", [(M, b"a", "1")]),
    (b"data: a\nid: 1\n\ndata: b\n\n", [(M, b"a", "1"), (M, b"b", "1")]),
    (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [(M, b"a", "1"), (M, b"b", "")]),
    (b"id: 1\ndata: a\n\nid: 2\n\ndata: b\n\n", [(M, b"a", "1"), (M, b"b", "2")]),
    (b"id: 1\x002\ndata: a\n\n", [(M, b"a", "")]),
    (b"id: \xf0\x9f\x92\xa1\ndata: a\n\n", [(M, b"a", "💡")]),
    (b"retry: 1000\ndata: a\n\n", [(M, b"a", "")]),
    (b"retry: 1000\nevent: x\ndata: {}\nid: 7\n\n", [("x", b"{}", "7")]),
    (b"Data: a\n\ndata : b\n\n data: c\n\n", []),
    (b"colour: red\ndata: a\n\n", [(M, b"a", "")]),
    (b"data: a:b: c\n\n", [(M, b"a:b: c", "")]),
    (b"data: \xe2\x80\xa8\xc2\x85\x0b\x0c\x1c\n\n", [(M, b"\xe2\x80\xa8\xc2\x85\x0b\x0c\x1c", "")]),
    ("data: ä€💡\n\n".encode(), [(M, "ä€💡".encode(), "")]),
    (b"event: \xff\ndata: \xff\n\n", [("\ufffd", b"\xff", "")]),
    (b"data: a\n\n:\n:\ndata: b\nid: 2\n\n: end", [(M, b"a", ""), (M, b"b", "2")]),
]


LINES = (b"data: a", b"data", b"event: x", b"id: 1", b"id", b": c", b"retry: 5", b"x", b"")


def blocks(*parts: bytes) -> list[Block]:
    parser = SseParser()
    return [block for part in parts for block in parser.feed(part)]


@pytest.mark.capability("CLN-07")
@pytest.mark.parametrize(("stream", "expected"), CORPUS, ids=[repr(stream)[:60] for stream, _ in CORPUS])
def test_a_stream_holds_the_same_blocks_wherever_it_is_split(
    stream: bytes, expected: list[tuple[str, bytes, str]]
) -> None:
    wanted = [Block(*each) for each in expected]

    assert blocks(stream) == wanted
    assert blocks(*(stream[at : at + 1] for at in range(len(stream)))) == wanted
    for at in range(len(stream)):
        assert blocks(stream[:at], b"", stream[at:]) == wanted, at


@given(
    lines=st.lists(
        st.sampled_from([b"data: a", b"data", b"event: x", b"id: 1", b"id", b": c", b"retry: 5", b"x", b""]),
        max_size=12,
    ),
    ends=st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=12, max_size=12),
    cuts=st.lists(st.integers(0, 120), max_size=6),
)
def test_ends_of_lines_and_splits_make_no_difference(lines: list[bytes], ends: list[bytes], cuts: list[int]) -> None:
    # "\r" before an empty line that ends with "\n" would read as one end of line.
    mixed = [b"\r\n" if end == b"\r" else end for end in ends]
    stream = b"".join(line + end for line, end in zip(lines, mixed, strict=False))
    places = sorted(min(cut, len(stream)) for cut in cuts)

    split = blocks(*(stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)))

    assert split == blocks(b"".join(line + b"\n" for line in lines))
    assert split == blocks(b"".join(line + b"\r" for line in lines))


@pytest.mark.capability("CLN-07")
def test_a_block_is_given_out_at_its_last_byte() -> None:
    parser = SseParser()

    assert parser.feed(b"data: a\r\r") == [Block(M, b"a", "")]
    assert parser.feed(b"\ndata: b\n") == []
    assert parser.feed(b"\n") == [Block(M, b"b", "")]


def test_the_id_of_a_block_that_broke_off_is_no_place_to_resume_at() -> None:
    parser = SseParser()

    parser.feed(b"data: a\nid: 1\n\ndata: b\nid: 2\n")

    assert parser.last_id == "1"


@pytest.mark.parametrize(
    ("text", "expected"), [(b"20", 20), (b"+20", None), (b"2.5", None), (b"", None), (b"9" * 30, None)]
)
def test_retry_is_digits_and_nothing_else(text: bytes, expected: int | None) -> None:
    parser = SseParser()

    parser.feed(b"retry: " + text + b"\n\n")

    assert parser.retry_ms == expected


@pytest.mark.parametrize("endless", [b"data: ", b"data: a\n", b": ", b"id: ", b"x"])
def test_an_event_without_end_is_refused_before_it_fills_the_memory(endless: bytes) -> None:
    parser = SseParser(max_block_bytes=1_000)
    feeding = map(parser.feed, [endless] * 2_000)

    with pytest.raises(UnexpectedAnswer, match="more than 1,000 bytes"):
        list(feeding)


def test_comments_may_go_on_for_ever() -> None:
    parser = SseParser(max_block_bytes=1_000)

    for _ in range(2_000):
        assert parser.feed(b":\n") == []
