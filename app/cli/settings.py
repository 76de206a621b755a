"""Settings as the commands read them: from options first, then from the environment."""

import os
from typing import Any

import typer
from pydantic import ValidationError

from app.settings import PREFIX, Settings, unknown_variables
from graphwire.cli.printing import complain, error_console

WRONG_USE = 2


def read_settings(**given: Any) -> Settings:
    """Return the settings; what is None is not given. Ends with all that is wrong in them, and what to do."""
    options = {name: value for name, value in given.items() if value is not None}
    try:
        settings = Settings(**options)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = str(problem["loc"][0]) if problem["loc"] else ""
            place = f"--{name.replace('_', '-')}" if name in options else f"{PREFIX}{name.upper()}"
            complain(f"{place}: {problem['msg'].removeprefix('Value error, ')}")
        raise typer.Exit(WRONG_USE) from None
    for sentence in unknown_variables(os.environ):
        error_console().print(f"warning: {sentence}")
    return settings
