"""The command ``graphwire``: its options, its commands, and how it ends."""

import os
import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Annotated

import typer

from graphwire.cli.events import events
from graphwire.cli.executions import executions
from graphwire.cli.files import SUFFIXES, read_graph_file
from graphwire.cli.graphs import graphs
from graphwire.cli.printing import NotWritten, complain, complain_of, error_console, open_streams, prints_aside
from graphwire.cli.run import RunOptions, read_state, run_graph
from graphwire.cli.run_on_server import run_on_server
from graphwire.cli.servers import URL_VARIABLE, Server, complain_of_server
from graphwire.cli.show import Drawing, show_graph
from graphwire.cli.validate import show_problems, validate_files
from graphwire.client.errors import ClientError
from graphwire.errors import GraphwireError, InvalidInput, NotFound
from graphwire.nodes import builtin_registry
from graphwire.types import Ordering

WRONG_USE = 2
FAILED = 1
INTERRUPTED = 130

_HELP = "Run graphs, and let anybody watch them live."


def make_app() -> typer.Typer:
    """Return the command with all that is installed: what has an entry point ``graphwire.commands`` adds its own."""
    app = typer.Typer(name="graphwire", help=_HELP, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_options)
    app.command("run")(run)
    app.command("validate")(validate)
    app.command("show")(show)
    app.command("events")(events)
    app.add_typer(graphs, name="graphs")
    app.add_typer(executions, name="executions")
    for plugin in sorted(entry_points(group="graphwire.commands"), key=lambda each: each.name):
        plugin.load()(app)
    return app


def main() -> None:
    """Run the command. An error on purpose is a sentence; any other one is a bug and shows where it is."""
    open_streams()
    try:
        make_app()()
    except InvalidInput as error:
        complain_of(error)
        sys.exit(WRONG_USE)
    except GraphwireError as error:
        complain(error.detail)
        sys.exit(WRONG_USE)
    except NotWritten as error:
        complain(str(error))
        sys.exit(error.status)
    except ClientError as error:
        sys.exit(complain_of_server(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"graphwire {version('graphwire')}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Run graphs, and let anybody watch them live."""


def run(
    graph_or_file: Annotated[
        str, typer.Argument(metavar="FILE|ID", help="A file with a graph, or the id of one on a server.")
    ],
    state: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="Values to start with: a JSON object, @file, or - for standard input."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One value; JSON, else text. May be repeated."),
    ] = None,
    graph: Annotated[str | None, typer.Option(metavar="ID", help="Which one, where the file holds several.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="NUMBER", help="Of the nodes' random numbers.")] = None,
    ordering: Annotated[
        Ordering,
        typer.Option(metavar="ORDER", help="as_finished, or deterministic: the same inputs give the same events."),
    ] = "as_finished",
    timeout: Annotated[
        float | None, typer.Option(min=0.001, metavar="SECONDS", help="Seconds after which the run fails.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write every event to standard output, a line each.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but the final state.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the final state to this file.")
    ] = None,
    server: Server = None,
) -> None:
    """Run a graph and watch it. The final state goes to standard output.

    A file (.py, .json, .yaml) runs here, without a server. Any other name is the id of a graph on the server that
    GRAPHWIRE_URL names; with --server every name is.

    Ends with status 0 when it completed, 1 when it failed, 2 when it could not start, 4 when the server cannot be
    reached, 130 after Ctrl-C, which cancels the run, also on a server; a second one ends the command at once.
    """
    options = RunOptions(
        state=read_state(state, set_ or []),
        seed=seed,
        ordering=ordering,
        timeout_s=timeout,
        as_json=as_json,
        quiet=quiet,
        output=output,
    )
    if is_on_server(graph_or_file, server):
        if graph is not None:
            raise typer.BadParameter("a graph on a server is named by its id", param_hint="--graph")
        raise typer.Exit(run_on_server(graph_or_file, options, server))
    path = Path(graph_or_file)
    if path.suffix not in SUFFIXES and not path.exists():
        detail = f"there is no file {graph_or_file}; to run a graph on a server say which: --server or {URL_VARIABLE}"
        raise NotFound(detail)
    with prints_aside():
        file = read_graph_file(path, builtin_registry())
    if file.problems and not file.has(graph):
        show_problems(file, error_console())
        raise typer.Exit(WRONG_USE)
    raise typer.Exit(run_graph(file, graph, options))


def is_on_server(name: str, server: str | None) -> bool:
    """Whether what is to be run is a graph on a server, and no file."""
    if server is not None:
        return True
    path = Path(name)
    return bool(os.environ.get(URL_VARIABLE)) and path.suffix not in SUFFIXES and not path.exists()


def validate(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Files with graphs, or folders of such.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON document.")] = False,
) -> None:
    """Show every problem of graphs, with its line. Ends with status 1 if one cannot run."""
    if not validate_files(paths, as_json=as_json):
        raise typer.Exit(FAILED)


def show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A file with a graph: .py, .json, .yaml.")],
    graph: Annotated[str | None, typer.Option(metavar="ID", help="Which one, where the file holds several.")] = None,
    format: Annotated[
        Drawing, typer.Option(metavar="FORMAT", help="tree for the terminal, mermaid, or dot for Graphviz.")
    ] = "tree",
) -> None:
    """Draw a graph as text."""
    if not show_graph(path, graph, format):
        raise typer.Exit(FAILED)
