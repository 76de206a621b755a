"""The commands of the service, by the entry point ``graphwire.commands``."""

import typer

from app.cli.config import config
from app.cli.database import database
from app.cli.serve import serve


def add_commands(command: typer.Typer) -> None:
    """Add the commands of the service to ``graphwire``."""
    command.command("serve")(serve)
    command.add_typer(config, name="config")
    command.add_typer(database, name="database")
