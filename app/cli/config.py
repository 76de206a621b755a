"""``graphwire config``: what is set, and where it comes from."""

import json
import os
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.table import Table
from rich.text import Text

from app.cli.settings import read_settings
from app.settings import PREFIX, Settings
from graphwire.cli.printing import output_console, printable, write_bytes

config = typer.Typer(help="What is set.", no_args_is_help=True)


@config.callback()
def _config() -> None:
    """What is set."""


@config.command("show")
def show(as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON document.")] = False) -> None:
    """Show every setting, its value, and where that comes from. Secrets are masked."""
    rows = list(_rows(read_settings()))
    if as_json:
        write_bytes(json.dumps({"settings": rows}, indent=2).encode() + b"\n")
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    for heading in ("variable", "value", "from"):
        table.add_column(heading, no_wrap=heading != "value", overflow="fold")
    for row in rows:
        style = "" if row["from"] == "default" else "bold"
        value = "" if row["value"] is None else str(row["value"])
        table.add_row(Text(row["variable"], style), Text(printable(value, 1_000), style), Text(row["from"], style))
    output_console().print(table)


def _rows(settings: Settings) -> Iterator[dict[str, Any]]:
    given = {name.upper() for name in os.environ}
    for name in Settings.model_fields:
        variable = PREFIX + name.upper()
        value = getattr(settings, name)
        shown: Any = value
        if isinstance(value, SecretStr):
            shown = str(value)
        elif isinstance(value, tuple):
            shown = [str(part) for part in value]
        yield {"variable": variable, "value": shown, "from": "environment" if variable in given else "default"}
