"""A copy of a SQLite file while a server uses it."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from app.storage.sqlite import explain
from graphwire.errors import StorageUnavailable

STEP_PAGES = 1_024


def back_up(source: Path, target: Path, *, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Write a file that holds all that is committed now, and is sound. Nobody waits for it.

    The file appears under its name when it is whole. It is one file, readable by its owner only.

    Args:
        source: The database.
        target: A file that does not exist.
        progress: Called with pages done and in all.

    Raises:
        StorageUnavailable: There is no such database, the file exists, or it cannot be written; ``detail`` says which.
    """
    if not source.is_file():
        raise StorageUnavailable("There is no database to back up yet.")
    if target.exists():
        raise _exists(target)
    part = target.with_name(target.name + ".part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise StorageUnavailable(f"{part} is there: another backup runs, or one was cut off; remove it then.") from None
    except OSError as error:
        raise StorageUnavailable(f"{part} cannot be written: {error.strerror}.") from None
    try:
        _copy(source, part, progress)
        _force(part)
        os.link(part, target)  # unlike a rename it replaces nothing
    except FileExistsError:
        raise _exists(target) from None
    except sqlite3.Error as error:
        raise StorageUnavailable(explain(error)) from error
    except OSError as error:
        raise StorageUnavailable(f"{target} cannot be written: {error.strerror}.") from None
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
    _force(target.parent)


def _exists(target: Path) -> StorageUnavailable:
    return StorageUnavailable(f"{target} exists; a backup replaces nothing.")


def _copy(source: Path, part: Path, progress: Callable[[int, int], None]) -> None:
    with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None)) as original:
        # A reader's view for as long as it takes: else every write of the server would begin the copy anew.
        original.execute("BEGIN")
        original.execute("SELECT count(*) FROM sqlite_master").fetchone()
        with closing(sqlite3.connect(part, isolation_level=None)) as copy:
            original.backup(
                copy, pages=STEP_PAGES, progress=lambda _, left, total: progress(total - left, total), sleep=0
            )
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
            found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise StorageUnavailable(f"The copy is damaged, and so, probably, is the database: {found}")


def _force(path: Path) -> None:
    """Force a file, or the names in a folder, to disk."""
    if path.is_dir() and os.name == "nt":
        return  # folders cannot be opened there
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
