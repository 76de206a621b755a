"""A lock beside a database file: one server at a time, freed by the system when its process ends."""

import os
import platform
import sys
import time
from pathlib import Path
from typing import BinaryIO

from graphwire.errors import StorageUnavailable

if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        # Far behind the text, which others must be able to read.
        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


HOLDER_S = 1.0
"""How long the holder has for writing down who it is, once it has the lock."""


class LockFile:
    """Held from ``acquire`` to ``release``. The file stays: taking it away would let two processes lock two files."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def acquire(self) -> None:
        """Take the lock, and write down who has it.

        Raises:
            StorageUnavailable: Another process has it, and is named; or the file cannot be written.
        """
        try:
            file = self._path.open("a+b")
        except OSError as error:
            raise StorageUnavailable(f"The lock file {self._path} cannot be written: {error.strerror}.") from error
        try:
            _lock(file)
        except OSError as error:
            holder = _read_holder(file) or "another process"
            file.close()
            raise StorageUnavailable(
                f"The database beside {self._path} is in use by {holder}. Stop that server, or give this one a"
                " database of its own."
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}\n".encode())
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def _read_holder(file: BinaryIO) -> str:
    """Return who has the lock. It may have taken it a moment ago: nothing else says that it has written its name."""
    deadline = time.monotonic() + HOLDER_S
    while True:
        file.seek(0)
        holder = file.read(200).decode(errors="replace").strip()
        if holder or time.monotonic() > deadline:
            return holder
        time.sleep(0.01)
