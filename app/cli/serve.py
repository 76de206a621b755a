"""``graphwire serve``."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.settings import WRONG_USE, read_settings
from app.security.openness import refusal
from graphwire.cli.printing import complain


def serve(
    graphs: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="A folder with graphs, may be repeated (GRAPHWIRE_GRAPHS)."),
    ] = None,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Address to listen on (GRAPHWIRE_HOST).")] = None,
    port: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Port to listen on (GRAPHWIRE_PORT); 0 takes any free one.")
    ] = None,
    database_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where executions are kept (GRAPHWIRE_DATABASE_URL).")
    ] = None,
) -> None:
    """Serve the API until SIGINT or SIGTERM; a second signal ends it at once."""
    settings = read_settings(
        graphs=None if graphs is None else tuple(graphs), host=host, port=port, database_url=database_url
    )
    refused = refusal(settings.host, has_key=settings.api_key is not None, is_forced=settings.allow_open)
    if refused is not None:
        complain(refused)
        raise typer.Exit(WRONG_USE)
    from app.server import run_server  # FastAPI takes half a second, which other commands do not pay

    run_server(settings)
