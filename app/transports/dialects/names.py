"""The dialects that a reader may ask for."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

from app.transports.dialects.ag_ui import AgUi
from app.transports.dialects.bus import Bus
from app.transports.dialects.editor import Editor
from app.transports.dialects.frames import Dialect, Folding
from app.transports.dialects.scoped import Scoped
from graphwire.engine.replay import Replay
from graphwire.errors import InvalidInput, Problem, quoted

DialectName = Literal["native", "editor", "bus", "scoped", "ag-ui"]

NAMES: Final[tuple[DialectName, ...]] = get_args(DialectName)

DIALECTS: Final[Mapping[str, Callable[[], Dialect]]] = MappingProxyType({"bus": Bus, "scoped": Scoped})
"""Those that need to know an event only; ``native`` is the events as they are."""

FOLDING: Final[Mapping[str, Callable[[Replay | None], Folding]]] = MappingProxyType({"editor": Editor, "ag-ui": AgUi})
"""Those that remember what came before, and need to know the state."""


def parse_dialect(text: str | None) -> DialectName:
    """Return the dialect of that name; None is the default.

    Raises:
        InvalidInput: There is none, with a problem at ``/query/dialect``.
    """
    for name in NAMES:
        if text in (None, name):
            return name
    detail = f"there is no dialect {quoted(text or '')}; there are {', '.join(NAMES)}"
    raise InvalidInput(f"/query/dialect: {detail}", [Problem("/query/dialect", "unknown_dialect", detail)])
