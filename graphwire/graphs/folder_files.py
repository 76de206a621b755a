"""Reading the files of a folder that others write to."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from graphwire.errors import Problem

# A path without links is opened: one put in its place since is not followed, and a FIFO does not block.
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file as it was when it was read. ``path`` is the one in the folder, also of a link."""

    path: Path
    data: bytes


Unreadable: TypeAlias = tuple[Path, list[Problem]]


def read_files(folder: Path, *, suffixes: Sequence[str], max_bytes: int) -> Iterator[FolderFile | Unreadable]:
    """Give the files directly in a folder, by name; hidden ones and other suffixes are passed over.

    Regular files only, and links only to such inside the folder; never waits for one, as a FIFO would make it.

    Raises:
        OSError: The folder itself cannot be read.
    """
    root = folder.resolve(strict=True)
    for path in sorted(folder.iterdir()):
        if path.suffix not in suffixes or path.name.startswith("."):
            continue
        try:
            yield _read(path, root, max_bytes)
        except _Refused as refused:
            yield path, [Problem("", refused.code, str(refused))]
        except (OSError, RuntimeError):  # RuntimeError: links in a circle
            yield path, [Problem("", "file_unreadable", "the file cannot be read")]


class _Refused(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def _read(path: Path, root: Path, max_bytes: int) -> FolderFile:
    target = path.resolve(strict=True)
    if not target.is_relative_to(root):
        raise _Refused("path_not_allowed", "the link leads out of the folder")
    opened = os.open(target, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise _Refused("path_not_allowed", "this is no regular file")
        with os.fdopen(opened, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    finally:
        os.close(opened)
    if len(data) > max_bytes:
        raise _Refused("file_too_large", f"more than {max_bytes:,} bytes")
    return FolderFile(path, data)
