"""What a reader wants to see of its events: conditions that are put one after the other."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Generic, TypeAlias, TypeVar

from graphwire.events.encoding import Envelope
from graphwire.events.types import EventData

Predicate: TypeAlias = Callable[[Envelope], bool]
View = TypeVar("View")


class Selectable(ABC, Generic[View]):
    """Events of which some can be chosen. Every choice is made here, not by the service, and narrows the one before.

    ``types`` and ``nodes`` of ``follow`` choose at the service instead, so that the rest is not sent.
    """

    @abstractmethod
    def where(self, predicate: Predicate) -> View:
        """Return the events for which this is true."""

    def filter(self, *types: str | type[EventData]) -> View:
        """Return the events of these types, named as on the wire or by their classes."""
        names = frozenset(each if isinstance(each, str) else each.type for each in types)
        return self.where(lambda event: event.type in names)

    def filter_by_node(self, *patterns: str) -> View:
        """Return the events of these nodes; ``*``, ``?`` and ``[…]`` stand for parts of a name."""
        return self.where(
            lambda event: event.node_id is not None and any(fnmatchcase(event.node_id, each) for each in patterns)
        )

    def filter_node_events(self) -> View:
        """Return the events of nodes."""
        return self.where(lambda event: event.node_id is not None)

    def filter_execution_events(self) -> View:
        """Return the events of the execution as a whole."""
        return self.where(lambda event: event.node_id is None)

    def within(self, node: str) -> View:
        """Return the events of what a node opened, such as the items of a ``foreach``."""
        return self.where(lambda event: any(scope.get("node") == node for scope in event.path or ()))

    def between(self, since: datetime | None = None, until: datetime | None = None) -> View:
        """Return the events from a time on and before another; both have a time zone."""
        return self.where(lambda event: _is_between(event, since, until))


def _is_between(event: Envelope, since: datetime | None, until: datetime | None) -> bool:
    at = datetime.fromisoformat(event.ts)
    return (since is None or at >= since) and (until is None or at < until)
