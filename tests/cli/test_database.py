"""``graphwire database``."""

import sqlite3
from contextlib import closing
from pathlib import Path

from app.storage.lock_file import LockFile
from tests.cli.command import graphwire


def test_a_new_database_is_brought_up_to_date_and_once_more_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/graphwire.db"

    for done in (graphwire("database", "upgrade", "--database-url", url) for _ in "12"):
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == "The database is up to date (schema 0001).\n"


def test_a_database_in_use_is_not_upgraded_and_the_user_is_named(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "graphwire.db.lock")
    lock.acquire()

    done = graphwire("database", "upgrade", GRAPHWIRE_DATABASE_URL=f"sqlite:///{tmp_path}/graphwire.db")

    lock.release()
    assert done.returncode == 1
    assert "in use by process" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_backup_is_a_sound_copy_and_a_second_one_replaces_nothing(tmp_path: Path) -> None:
    url, copy = f"sqlite:///{tmp_path}/graphwire.db", tmp_path / "copy.db"
    graphwire("database", "upgrade", "--database-url", url)

    first = graphwire("database", "backup", copy, "--database-url", url)
    again = graphwire("database", "backup", copy, "--database-url", url)

    assert first.returncode == 0
    assert first.stderr.endswith("bytes were copied, and the copy is sound.\n")
    with closing(sqlite3.connect(copy)) as file:
        assert file.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    assert again.returncode == 1
    assert "replaces nothing" in again.stderr


def test_for_postgresql_its_own_command_is_named_and_no_password_shown(tmp_path: Path) -> None:
    url = "postgresql://me:hidden@nowhere/db"

    done = graphwire("database", "backup", tmp_path / "copy", GRAPHWIRE_DATABASE_URL=url)

    assert done.returncode == 2
    assert "pg_dump" in done.stderr
    assert "hidden" not in done.stderr
