"""``graphwire database``: bring it up to date, and copy it."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.cli.settings import WRONG_USE, read_settings
from app.settings import database_url
from graphwire.cli.printing import complain, error_console
from graphwire.errors import StorageUnavailable

FAILED = 1

database = typer.Typer(help="Bring the database up to date, and copy it.", no_args_is_help=True)
Url = Annotated[
    str | None,
    typer.Option("--database-url", metavar="URL", help="Where executions are kept (GRAPHWIRE_DATABASE_URL)."),
]


@database.callback()
def _database() -> None:
    """Bring the database up to date, and copy it."""


@database.command("upgrade")
def upgrade(url: Url = None) -> None:
    """Bring the tables up to date, wholly or not at all. No server may use the database meanwhile.

    Ends with status 1 where it cannot be used, and says why.
    """
    given = database_url(read_settings(database_url=url))
    from app.storage.migration import REVISIONS
    from app.storage.opening import open_database

    async def open_once() -> None:
        async with open_database(given):
            pass

    try:
        asyncio.run(open_once())
    except StorageUnavailable as error:
        complain(error.detail)
        raise typer.Exit(FAILED) from None
    error_console().print(f"The database is up to date (schema {REVISIONS[-1]}).")


@database.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; it must not exist yet.")], url: Url = None
) -> None:
    """Copy a SQLite database into one file, also while a server uses it, and check the copy.

    Ends with status 1 where that cannot be done, and says why.
    """
    given = database_url(read_settings(database_url=url))
    from app.storage.backup import back_up
    from app.storage.sqlite_database import path_of

    path = path_of(given)
    if path is None:
        complain("PostgreSQL has a command for it: pg_dump --format=custom --file=FILE DATABASE")
        raise typer.Exit(WRONG_USE)
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    console = error_console()
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("copying")
            back_up(path, file, progress=lambda done, total: progress.update(task, completed=done, total=total))
    except StorageUnavailable as error:
        complain(error.detail)
        raise typer.Exit(FAILED) from None
    console.print(f"{file.stat().st_size:,} bytes were copied, and the copy is sound.")
