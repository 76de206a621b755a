"""The page of the command line, written from the commands."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from graphwire.cli.main import make_app

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "command-line.md"

_HEAD = """\
# Command line

Written from the code by `make docs`; a test compares the two.

Results go to standard output, all else to standard error.
On a terminal `graphwire run` draws a bar for each running node; elsewhere it writes a line for each thing that happens.
What the code of graphs prints goes to standard error too.
`NO_COLOR` switches colours off.

| exit status | meaning |
| --- | --- |
| 0 | done; of `run`: the execution completed |
| 1 | `run`: the execution failed; `validate` and `show`: a graph has problems; `database`: it cannot be used |
| 1 | `graphs diff`: something differs; `executions cancel --wait`: one ended otherwise |
| 2 | wrong use: an option, a setting, a start's state, a graph that cannot be run; nothing was started |
| 2 | a server refuses: what is asked for is not there, wrong, or not allowed |
| 3 | `serve` could not start: the port is taken, the database is in use |
| 4 | a server cannot be reached, is not ready, or is no Graphwire service |
| 130, 143 | `run` was stopped by Ctrl-C or SIGTERM, and so was its execution; `serve` ends with 0 then |

`graphwire --install-completion` installs completion for the current shell, `graphwire --version` tells the version.

## Servers

`run` with the id of a graph, `events`, `graphs` and `executions` talk to a server.
`--server` says where it is, else `GRAPHWIRE_URL`, else it is `http://127.0.0.1:8000`.
The key is in `GRAPHWIRE_API_KEY`; of several, separated by commas, the first is sent.
Streams go by WebSocket, server-sent events or long polls, whichever gets through, and go on where they broke off.
"""


def page() -> str:
    """Return the page as it has to be."""
    root: Any = typer.main.get_command(make_app())
    return _HEAD + "".join(_sections(root, "graphwire"))


def _sections(group: Any, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _sections(command, f"{path} {name}")
        else:
            yield "\n".join(_section(command, f"{path} {name}"))


def _section(command: Any, path: str) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    shown = " ".join(each.metavar or each.name.upper() for each in arguments)
    yield f"\n## `{path}{' ' + shown if shown else ''}`\n"
    yield "\n".join(" ".join(part.split()) for part in command.help.split("\n\n")).replace(". ", ".\n") + "\n"
    if options:
        yield "| option | meaning | default |\n| --- | --- | --- |"
        yield from (_row(each) for each in options)
        yield ""


def _row(option: Any) -> str:
    names = ", ".join(f"`{name}{'' if option.is_flag else ' ' + str(option.metavar)}`" for name in option.opts)
    default = "" if option.default in (None, False, ()) else f"`{option.default}`"
    return f"| {names} | {option.help} | {default} |"
