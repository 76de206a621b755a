import fcntl
from pathlib import Path

import pytest

from app.storage.lock_file import LockFile
from graphwire.errors import StorageUnavailable


def test_a_holder_that_has_not_written_its_name_yet_is_named_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "graphwire.db.lock"

    with path.open("ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        monkeypatch.setattr("time.sleep", lambda _: file.write(b"process 7 on the other machine\n"))

        with pytest.raises(StorageUnavailable, match="in use by process 7 on the other machine"):
            LockFile(path).acquire()


def test_a_lock_that_was_given_back_names_nobody(tmp_path: Path) -> None:
    path = tmp_path / "graphwire.db.lock"
    lock = LockFile(path)

    lock.acquire()
    held = path.read_bytes()
    lock.release()

    assert held.startswith(b"process ")
    assert path.read_bytes() == b""
