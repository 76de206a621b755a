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
_FOLDER: Final = _FLAGS | getattr(os, "O_DIRECTORY", 0)
_ATTEMPTS: Final = 3
"""To read a file that is written to meanwhile."""

Fingerprint: TypeAlias = tuple[tuple[str, int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file as it was when it was read. ``path`` is the one in the folder, also of a link."""

    path: Path
    data: bytes
    modified_ns: int = 0


Unreadable: TypeAlias = tuple[Path, list[Problem]]


def read_files(folder: Path, *, suffixes: Sequence[str], max_bytes: int) -> Iterator[FolderFile | Unreadable]:
    """Give the files directly in a folder, by name; hidden ones and other suffixes are passed over.

    Regular files only, and links only to such inside the folder; never waits for one, as a FIFO would make it. What is
    given was in the file at one moment, as far as the file system tells when a file is written to.

    A name that is no text is given in a form that is, as ``printable`` makes it.

    Raises:
        OSError: The folder itself cannot be read.
        ValueError: Its path is none, or is no text.
    """
    str(folder).encode()
    root = folder.resolve(strict=True)
    for path in sorted(folder.iterdir()):
        if path.suffix not in suffixes or path.name.startswith("."):
            continue
        if not is_text(path):
            yield printable(path), [Problem("", "path_not_allowed", "the name of the file is no text in UTF-8")]
            continue
        try:
            yield _read(path, root, max_bytes)
        except _Refused as refused:
            yield path, [Problem("", refused.code, str(refused))]
        except (OSError, RuntimeError):  # RuntimeError: links in a circle
            if path.is_symlink() or path.exists():  # else it went while the folder was read
                yield path, [Problem("", "file_unreadable", "the file cannot be read")]


def read_file(path: Path, *, max_bytes: int) -> FolderFile | list[Problem]:
    """Read one file that is named by whoever may read it, wherever a link leads; else say why not. Never waits."""
    try:
        target = path.resolve(strict=True)
        file = _read(target, target.parent, max_bytes)
    except _Refused as refused:
        return [Problem("", refused.code, str(refused))]
    except (OSError, RuntimeError) as error:
        return [Problem("", "file_unreadable", getattr(error, "strerror", None) or "the file cannot be read")]
    return FolderFile(path, file.data, file.modified_ns)


def fingerprint(folder: Path) -> Fingerprint | None:
    """Return what changes when a file in the folder does, at little cost; None if the folder cannot be read."""
    try:
        names = sorted(os.listdir(folder))
    except (OSError, ValueError):  # ValueError: NUL in it
        return None
    return tuple((name, *_state(folder / name)) for name in names)


def is_text(path: Path) -> bool:
    """Say whether a path can be stored and shown: a system may take any bytes as a name."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(path: Path) -> Path:
    """Return a path with what is no text in it written as ``\\xfe``: only for people."""
    return path if is_text(path) else Path(os.fsencode(path).decode(errors="backslashreplace"))


class _Refused(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def _read(path: Path, root: Path, max_bytes: int) -> FolderFile:
    for _ in range(_ATTEMPTS):
        target = path.resolve(strict=True)
        if not target.is_relative_to(root):
            raise _Refused("path_not_allowed", "the link leads out of the folder")
        opened = _open_beneath(root, target)
        try:
            before = os.fstat(opened)
            if not stat.S_ISREG(before.st_mode):
                raise _Refused("path_not_allowed", "this is no regular file")
            if before.st_size > max_bytes:
                raise _Refused("file_too_large", f"{before.st_size:,} bytes; the limit is {max_bytes:,}")
            with os.fdopen(opened, "rb", closefd=False) as file:
                data = file.read(max_bytes + 1)
            after = os.fstat(opened)
        finally:
            os.close(opened)
        if _identity(before) == _identity(after) and len(data) == after.st_size:
            return FolderFile(path, data, after.st_mtime_ns)
    raise _Refused("file_changing", "the file is being written to; it is read again when that is done")


def _open_beneath(root: Path, target: Path) -> int:
    """Open a path inside a folder without following a link anywhere on the way, also one that was put there since."""
    *between, last = target.relative_to(root).parts
    if os.open not in os.supports_dir_fd:
        return os.open(target, _FLAGS)
    folder = os.open(root, _FOLDER)
    try:
        for part in between:
            inner = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(last, _FLAGS, dir_fd=folder)
    finally:
        os.close(folder)


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _state(path: Path) -> tuple[int, int, int, int]:
    try:
        return _identity(path.stat())
    except (OSError, RuntimeError):
        return 0, 0, 0, 0
