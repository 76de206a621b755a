"""Events as lines of the program's log."""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from msgspec.json import Decoder

from graphwire.events.hub import Published

LEVELS: Mapping[str, int] = MappingProxyType(
    {
        "execution_failed": logging.ERROR,
        "node_failed": logging.WARNING,
        "execution_timeout": logging.WARNING,
        "execution_cancelled": logging.WARNING,
        "events_dropped": logging.WARNING,
        "checkpoint_restored": logging.WARNING,
    }
)
"""Of types that are no plain ``INFO``; ``node_log`` and ``diagnostic`` say their own."""
_OWN_LEVEL: Mapping[str, str] = MappingProxyType({"node_log": "level", "diagnostic": "severity"})
_MOST_CHARACTERS = 200


class _Line(Struct):
    seq: int
    type: str
    execution_id: str
    graph_id: str
    data: dict[str, Any]
    node_id: str | None = None


_read = Decoder(_Line).decode


class Log:
    """Writes a line for each event to a logger: its type, its node and what it says, cut to 200 characters.

    The record has ``execution_id``, ``graph_id``, ``seq`` and ``node_id`` as attributes. Whether a line is written, and
    where, is the logger's to say.

    Args:
        logger: Where to.
        name: What the sink is called.
    """

    def __init__(self, logger: logging.Logger | None = None, *, name: str = "log") -> None:
        self.name = name
        self._logger = logging.getLogger("graphwire.events") if logger is None else logger

    def handle(self, events: Sequence[Published]) -> None:
        """See ``Sink``."""
        for event in events:
            if self._logger.isEnabledFor(LEVELS.get(event.type, logging.INFO)) or event.type in _OWN_LEVEL:
                self._write(_read(event.line))

    def close(self) -> None:
        """There is nothing to let go of."""

    def _write(self, event: _Line) -> None:
        level = LEVELS.get(event.type, logging.INFO)
        if (key := _OWN_LEVEL.get(event.type)) is not None:
            level = logging.getLevelNamesMapping().get(str(event.data.get(key, "")).upper(), level)
        about = {"execution_id": event.execution_id, "graph_id": event.graph_id, "seq": event.seq}
        if event.node_id is not None:
            about["node_id"] = event.node_id
        words = " ".join(f"{name}={value}" for name, value in event.data.items() if value is not None)
        text = f"{event.type} {event.node_id}: {words}" if event.node_id else f"{event.type}: {words}"
        self._logger.log(level, "%s", text[:_MOST_CHARACTERS], extra=about)
