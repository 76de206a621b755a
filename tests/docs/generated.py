"""What of the README and docs/ is written from the code."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tests.docs import (
    command_line_page,
    dialects_page,
    events_page,
    node_types_page,
    picture,
    problems_page,
    settings_page,
)
from tests.docs.blocks import ROOT
from tests.docs.figures import with_figures

_WITH_FIGURES: Final = (ROOT / "README.md", ROOT / "docs" / "explanation" / "what-durability-buys.md")

PAGES: Final[Mapping[Path, Callable[[], str]]] = {
    module.PAGE: module.page
    for module in (
        command_line_page,
        dialects_page,
        events_page,
        node_types_page,
        picture,
        problems_page,
        settings_page,
    )
} | {page: partial(with_figures, page) for page in _WITH_FIGURES}
