"""What a reader wants to see of a stream."""

from collections.abc import Collection, Iterable
from typing import Final

from msgspec import Struct

from graphwire.errors import InvalidInput, Problem, quoted
from graphwire.events.notices import NOTICES_BY_TYPE
from graphwire.events.types import EVENTS_BY_TYPE, TERMINAL_TYPES
from graphwire.near_names import NearNames

MAX_NAMES: Final = 1_000
"""So many types, and so many nodes, a filter may name."""
_COMPARISONS: Final = 5_000
"""Of unknown names with known ones, for a hint at what was meant: some 50 ms."""

ALWAYS_SHOWN: frozenset[str] = TERMINAL_TYPES | {"stream_end", "checkpoint_restored"}
"""Types that no filter hides: without them a reader cannot know that it is at the end, or what is void."""


class Filter(Struct, frozen=True):
    """What passes: events of these types, and of these nodes. None leaves nothing out.

    Attributes:
        types: Names of event types and notices.
        nodes: Node ids. They hide only events of nodes.
    """

    types: frozenset[str] | None = None
    nodes: frozenset[str] | None = None

    def passes(self, event_type: str, node_id: str | None) -> bool:
        """Whether an event is shown."""
        if event_type in ALWAYS_SHOWN:
            return True
        if self.types is not None and event_type not in self.types:
            return False
        return self.nodes is None or node_id is None or node_id in self.nodes

    @property
    def shows_progress(self) -> bool:
        """Whether the notice ``execution_progress`` is shown; every other notice always is."""
        return self.types is None or "execution_progress" in self.types


def parse_filter(
    types: Iterable[str] = (), nodes: Iterable[str] = (), *, known_nodes: Collection[str] | None = None
) -> Filter | None:
    """Read a filter as it stands in a query: values may be repeated, or separated by commas, or empty.

    Args:
        types: Values of ``types``.
        nodes: Values of ``nodes``.
        known_nodes: The ids that the graph has; None when that cannot be told.

    Returns:
        The filter; None when it would leave nothing out.

    Raises:
        InvalidInput: Types or nodes are unknown, each with a problem at ``/query/types/<n>`` or ``/query/nodes/<n>``;
            or there are too many.
    """
    wanted_types, wanted_nodes = split_list(types), split_list(nodes)
    if problems := [*_too_many("type", wanted_types), *_too_many("node", wanted_nodes)]:
        raise InvalidInput(problems[0].detail, problems)
    known_types = EVENTS_BY_TYPE.keys() | NOTICES_BY_TYPE.keys()
    near = NearNames(_COMPARISONS)
    problems = _unknown("type", wanted_types, known_types, near)
    if known_nodes is not None:
        problems += _unknown("node", wanted_nodes, known_nodes, near)
    if problems:
        raise InvalidInput("The filter names what does not exist.", problems)
    if not wanted_types and not wanted_nodes:
        return None
    return Filter(
        types=frozenset(wanted_types) if wanted_types else None, nodes=frozenset(wanted_nodes) if wanted_nodes else None
    )


def split_list(values: Iterable[str]) -> list[str]:
    """Read a list as it stands in a query: values may be repeated, or separated by commas, or empty."""
    return [part for value in values for text in value.split(",") if (part := text.strip())]


def _too_many(kind: str, wanted: list[str]) -> list[Problem]:
    if len(wanted) <= MAX_NAMES:
        return []
    detail = f"there are {len(wanted):,} {kind}s; at most {MAX_NAMES:,} are taken"
    return [Problem(f"/query/{kind}s", "too_many_items", detail)]


def _unknown(kind: str, wanted: list[str], known: Collection[str], near: NearNames) -> list[Problem]:
    return [
        Problem(f"/query/{kind}s/{index}", f"unknown_{kind}", f"there is no {kind} {quoted(name)}{near(name, known)}")
        for index, name in enumerate(wanted)
        if name not in known
    ]
