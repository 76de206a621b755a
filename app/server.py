"""The server of an application: Uvicorn with our protocol class, and the interpreter set for it."""

import gc
import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import uvicorn

from app.api.routers.sockets import is_socket
from app.main import create_app
from app.observability.logs import logging_to
from app.settings import Settings, closing_s, secrets_of
from app.transports.server import StreamServer, protocol
from app.transports.websocket.protocol import SocketBounds
from graphwire.sinks import Sink

EXAMPLE_GRAPH = "code_census"


def run_server(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; a second signal ends it at once."""
    for library in ("alembic", "watchfiles", "websockets"):
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_shortened)
    with logging_to(format=settings.log_format, level=settings.log_level, secrets=secrets_of(settings)):
        _open_many_files()
        server = make_server(settings, ready=announce)
        _tune()
        server.run()


def _open_many_files() -> None:
    """Have as many files open as this process may: each stream takes one. Shells set less by default."""
    if sys.platform == "win32":
        return
    import resource  # only Unix has it

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS says that there is no limit, and has one
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tune() -> None:
    """Set the interpreter for one busy event loop beside one thread that writes."""
    # A busy loop keeps the interpreter's lock for this long against the writer: 5 ms by default, as long as a commit.
    sys.setswitchinterval(0.0005)
    # What the start made lives for ever: looking through it again and again takes tens of milliseconds.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def make_server(settings: Settings, *, ready: Callable[[str, int], None], sinks: Sequence[Sink] = ()) -> StreamServer:
    """Make the server of an application with these settings; ``ready`` is called with its address once it serves."""
    application = create_app(settings, sinks=sinks)
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        http=protocol(
            settings.write_timeout_s,
            settings.heartbeat_s,
            is_socket=is_socket,
            socket_bounds=_socket_bounds(settings),
        ),
        ws="none",
        loop="uvloop" if sys.platform != "win32" else "auto",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=closing_s(settings),  # type: ignore[arg-type]  # any number will do
    )
    return StreamServer(config, drain=lambda: application.state.drain(), ready=ready)


def _socket_bounds(settings: Settings) -> SocketBounds:
    return SocketBounds(
        max_message_bytes=settings.max_message_bytes,
        write_timeout_s=settings.write_timeout_s,
        ping_s=settings.ping_s,
        pong_s=settings.pong_s,
    )


def _shortened(record: logging.LogRecord) -> bool:
    """Leave of a failed start what its last line says: the sentence that tells what to do."""
    text = record.getMessage()
    if text.rstrip().endswith("CancelledError"):
        return False  # of a start that was told twice to stop
    if text.startswith("Traceback"):
        record.msg, record.args = text.strip().splitlines()[-1].partition(": ")[2] or text, ()
    return True


def announce(host: str, port: int) -> None:
    """Say where the service is and how to try it."""
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}"
    url = shlex.quote(f"{address}/graphs/{EXAMPLE_GRAPH}/execute/stream")
    lines = (f"Graphwire serves at {address} (documentation: {address}/docs)", "", f"  curl -N -X POST {url}", "", "")
    with suppress(OSError):  # nobody need read it
        sys.stdout.write("\n".join(lines))
        sys.stdout.flush()
