from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from graphwire.events.hub import Published
from graphwire.sinks import NdjsonFile, OnlySomeTakenError


def events(*lines: bytes) -> list[Published]:
    return [Published(seq, "node_message", None, line) for seq, line in enumerate(lines, 1)]


def files(path: Path) -> list[Path]:
    """The files, oldest first."""
    older = sorted(path.parent.glob(f"{path.name}.*"), key=lambda each: int(each.suffix[1:]), reverse=True)
    return [*older, path]


@given(
    batches=st.lists(st.lists(st.binary(min_size=1, max_size=30).filter(lambda text: b"\n" not in text), max_size=5)),
    max_bytes=st.integers(1, 100),
)
def test_all_files_together_hold_every_line_in_order_and_none_is_too_large(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[bytes]], max_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("sink") / "events.ndjson"
    sink = NdjsonFile(path, max_bytes=max_bytes, keep=1_000)

    for batch in batches:
        sink.handle(events(*batch))
    sink.close()

    found = [file.read_bytes() for file in files(path) if file.exists()]
    assert b"".join(found).split(b"\n")[:-1] == [line for batch in batches for line in batch]
    assert all(len(text) <= max_bytes or text.count(b"\n") == 1 for text in found)


@pytest.mark.parametrize(("keep", "left"), [(0, [b"4\n"]), (2, [b"2\n", b"3\n", b"4\n"])])
def test_only_so_many_older_files_are_kept(tmp_path: Path, keep: int, left: list[bytes]) -> None:
    path = tmp_path / "events.ndjson"
    sink = NdjsonFile(path, max_bytes=2, keep=keep)

    sink.handle(events(b"1", b"2", b"3", b"4"))
    sink.close()

    assert [file.read_bytes() for file in files(path)] == left


def test_an_event_is_written_whole(tmp_path: Path) -> None:
    sink = NdjsonFile(tmp_path / "events.ndjson")

    sink.handle([Published(1, "node_message", None, b"short", whole=b"all of it")])
    sink.close()

    assert (tmp_path / "events.ndjson").read_bytes() == b"all of it\n"


def test_a_line_that_a_crash_cut_short_keeps_a_line_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"whole\ncut sho")
    sink = NdjsonFile(path)

    sink.handle(events(b"next"))
    sink.close()

    assert path.read_bytes() == b"whole\ncut sho\nnext\n"


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "events.ndjson"
    sink = NdjsonFile(path)

    sink.handle(events(b"1"))
    path.rename(tmp_path / "moved")
    sink.handle(events(b"2"))
    sink.close()

    assert ((tmp_path / "moved").read_bytes(), path.read_bytes()) == (b"1\n", b"2\n")


def test_what_cannot_be_written_is_not_taken_and_is_when_it_can_be(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.mkdir()
    sink = NdjsonFile(path)

    with pytest.raises(OnlySomeTakenError) as caught:
        sink.handle(events(b"1", b"2"))
    path.rmdir()
    sink.handle(events(b"1", b"2"))
    sink.close()

    assert (caught.value.taken, type(caught.value.__cause__)) == (0, IsADirectoryError)
    assert path.read_bytes() == b"1\n2\n"
