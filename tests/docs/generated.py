"""The pages of docs/ that are written from the code."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.docs import command_line_page, events_page, node_types_page, problems_page, settings_page

PAGES: Final[Mapping[Path, Callable[[], str]]] = {
    module.PAGE: module.page
    for module in (command_line_page, events_page, node_types_page, problems_page, settings_page)
}
