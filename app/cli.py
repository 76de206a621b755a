"""The command ``graphwire``."""

import gc
import logging
import os
import shlex
import sys
import warnings
from collections.abc import Callable
from typing import Annotated

import typer
import uvicorn
from pydantic import ValidationError
from uvicorn.config import UvicornDeprecationWarning

from app.main import create_app
from app.observability.logs import logging_to
from app.security.openness import refusal
from app.settings import Settings, secrets_of, unknown_variables
from app.transports.server import StreamServer, protocol

EXAMPLE_GRAPH = "code_census"
_RESPONSES_SHARE = 0.1
"""Of ``drain_s``, which the executions have: how long open responses may take before."""

app = typer.Typer(name="graphwire", help="Run graphs and let anybody watch them live.", no_args_is_help=True)


@app.callback()
def _command() -> None:
    """Run graphs and let anybody watch them live."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (GRAPHWIRE_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (GRAPHWIRE_PORT); 0 takes any free one.")] = None,
) -> None:
    """Serve the API until SIGINT or SIGTERM; a second signal ends it at once."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_shortened)
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # the rest comes from the environment
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in problem["loc"][:1]).upper()
            typer.echo(f"GRAPHWIRE_{name}: {problem['msg']}", err=True)
        raise typer.Exit(2) from None
    for sentence in unknown_variables(os.environ):
        typer.echo(f"warning: {sentence}", err=True)
    refused = refusal(settings.host, has_key=settings.api_key is not None, is_forced=settings.allow_open)
    if refused is not None:
        typer.echo(refused, err=True)
        raise typer.Exit(2)
    with logging_to(format=settings.log_format, level=settings.log_level, secrets=secrets_of(settings)):
        server = make_server(settings, ready=announce)
        _tune()
        server.run()


def _tune() -> None:
    """Set the interpreter for one busy event loop beside one thread that writes."""
    # A busy loop keeps the interpreter's lock for this long against the writer: 5 ms by default, as long as a commit.
    sys.setswitchinterval(0.0005)
    # What the start made lives for ever: looking through it again and again takes tens of milliseconds.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def make_server(settings: Settings, *, ready: Callable[[str, int], None]) -> StreamServer:
    """Make the server of an application with these settings; ``ready`` is called with its address once it serves."""
    application = create_app(settings)
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        http=protocol(settings.write_timeout_s),
        ws="websockets",
        loop="uvloop" if sys.platform != "win32" else "auto",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_s * _RESPONSES_SHARE,  # type: ignore[arg-type]  # any number will do
    )
    with warnings.catch_warnings():
        # Its successor does not yet pass all of the WebSocket conformance suite.
        warnings.simplefilter("ignore", UvicornDeprecationWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        config.load()
    return StreamServer(config, drain=lambda: application.state.drain(), ready=ready)


def _shortened(record: logging.LogRecord) -> bool:
    """Leave of a failed start what its last line says: the sentence that tells what to do."""
    text = record.getMessage()
    if text.startswith("Traceback"):
        record.msg, record.args = text.strip().splitlines()[-1].partition(": ")[2] or text, ()
    return True


def announce(host: str, port: int) -> None:
    """Say where the service is and how to try it."""
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}"
    url = shlex.quote(f"{address}/graphs/{EXAMPLE_GRAPH}/execute/stream")
    typer.echo(f"Graphwire serves at {address} (documentation: {address}/docs)\n\n  curl -N -X POST {url}\n")
    sys.stdout.flush()


def main() -> None:
    """Run the command."""
    app()
