"""Files that change, or are changed for others, while they are read."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from graphwire.graphs import folder_files
from graphwire.graphs.folder_files import FolderFile, fingerprint, read_files


def read(folder: Path) -> dict[str, str]:
    """Return what each file holds, or the code of what is wrong with it."""
    found = {}
    for each in read_files(folder, suffixes=[".json"], max_bytes=1_000):
        if isinstance(each, FolderFile):
            found[each.path.name] = each.data.decode()
        else:
            found[each[0].name] = each[1][0].code
    return found


def before_opening(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Act between the moment in which a path is judged and that in which it is opened."""
    original = folder_files._open_beneath

    def opened(root: Path, target: Path) -> int:
        act()
        return original(root, target)

    monkeypatch.setattr(folder_files, "_open_beneath", opened)


def after_opening(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Act between the moment in which a file is looked at and that in which it is read."""
    original = os.fdopen

    def opened(*arguments: object, **keywords: object) -> object:
        act()
        return original(*arguments, **keywords)  # type: ignore[call-overload]  # as it came

    monkeypatch.setattr(os, "fdopen", opened)


@pytest.mark.bad_input(38)
def test_a_link_put_in_place_of_a_file_that_was_judged_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, outside = tmp_path / "graphs", tmp_path / "outside.json"
    folder.mkdir()
    outside.write_text("secret")
    (folder / "a.json").write_text("a")

    def swap() -> None:
        (folder / "a.json").unlink()
        (folder / "a.json").symlink_to(outside)

    before_opening(monkeypatch, swap)

    assert read(folder) == {"a.json": "file_unreadable"}


@pytest.mark.bad_input(38)
def test_a_link_put_in_place_of_a_folder_on_the_way_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, outside = tmp_path / "graphs", tmp_path / "outside"
    (folder / "inner").mkdir(parents=True)
    outside.mkdir()
    (outside / "a.json").write_text("secret")
    (folder / "inner" / "a.json").write_text("a")
    (folder / "a.json").symlink_to("inner/a.json")

    def swap() -> None:
        (folder / "inner").rename(folder / "moved")
        (folder / "inner").symlink_to(outside)

    before_opening(monkeypatch, swap)

    assert read(folder) == {"a.json": "file_unreadable"}


@pytest.mark.bad_input(39)
def test_a_file_rewritten_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    file.write_text("first")
    texts = ["second, which is longer"]

    def rewrite() -> None:
        if texts:
            file.write_text(texts.pop())

    after_opening(monkeypatch, rewrite)

    assert read(tmp_path) == {"a.json": "second, which is longer"}


@pytest.mark.bad_input(39)
def test_a_file_that_is_written_to_without_end_is_given_up_for_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.json"
    file.write_text("")
    (tmp_path / "b.json").write_text("b")

    def grow() -> None:
        with file.open("a") as opened:
            opened.write("x")

    after_opening(monkeypatch, grow)

    assert read(tmp_path)["a.json"] == "file_changing"


@pytest.mark.bad_input(39)
def test_a_file_that_disappears_while_the_folder_is_read_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text("a")
    before_opening(monkeypatch, lambda: (tmp_path / "a.json").unlink(missing_ok=True))

    assert read(tmp_path) == {}


@pytest.mark.bad_input(38)
@pytest.mark.skipif(sys.platform != "linux", reason="no such names elsewhere")
def test_a_name_that_is_no_text_is_refused_and_shown_as_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xfe.json")).write_text("a")
    (tmp_path / os.fsdecode(b".hidden\xfe.json")).write_text("a")
    (tmp_path / "b.json").write_text("b")

    assert read(tmp_path) == {"a\\xfe.json": "path_not_allowed", "b.json": "b"}


def test_a_fingerprint_changes_with_every_change_and_with_nothing_else(tmp_path: Path) -> None:
    seen = [fingerprint(tmp_path)]
    (tmp_path / "a.json").write_text("a")
    seen.append(fingerprint(tmp_path))
    (tmp_path / "a.json").write_text("longer")
    seen.append(fingerprint(tmp_path))
    (tmp_path / "new.json").write_text("longer")
    (tmp_path / "new.json").replace(tmp_path / "a.json")
    seen.append(fingerprint(tmp_path))
    (tmp_path / "b.json").symlink_to("nowhere")
    seen.append(fingerprint(tmp_path))
    (tmp_path / "a.json").unlink()
    seen.append(fingerprint(tmp_path))

    assert len(set(seen)) == len(seen)
    assert fingerprint(tmp_path) == seen[-1]
    assert fingerprint(tmp_path / "nowhere") is None
