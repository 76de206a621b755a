"""Topics of the service's events, as a reader names them: ``execution.*``."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from graphwire.errors import InvalidInput, Problem, quoted
from graphwire.events.filters import Filter, split_list
from graphwire.events.service_types import SERVICE_EVENTS_BY_TOPIC
from graphwire.near_names import NearNames

MAX_PATTERNS: Final = 100
_MAX_LENGTH: Final = 64


def parse_topics(patterns: Iterable[str], *, place: str = "/query/topics") -> Filter | None:
    """Read patterns as they stand in a query: values may be repeated, or separated by commas, or empty.

    A pattern is a topic, or has ``*`` for any number of its characters.

    Args:
        place: Pointer to the list of them.

    Returns:
        The filter; None when it would leave nothing out.

    Raises:
        InvalidInput: Patterns match no topic, each with a problem at its place; or there are too many.
    """
    wanted = split_list(patterns)
    if len(wanted) > MAX_PATTERNS:
        detail = f"there are {len(wanted):,} patterns; at most {MAX_PATTERNS} are taken"
        raise InvalidInput(detail, [Problem(place, "too_many_items", detail)])
    near = NearNames()
    passing: set[str] = set()
    problems: list[Problem] = []
    for index, pattern in enumerate(wanted):
        found = [topic for topic in SERVICE_EVENTS_BY_TOPIC if _matches(topic, pattern)]
        passing.update(found)
        if not found:
            detail = f"no topic is {quoted(pattern)}{near(pattern, SERVICE_EVENTS_BY_TOPIC)}"
            problems.append(Problem(f"{place}/{index}", "unknown_topic", detail))
    if problems:
        raise InvalidInput("The filter names topics that do not exist.", problems)
    return Filter(types=frozenset(passing)) if wanted and len(passing) < len(SERVICE_EVENTS_BY_TOPIC) else None


def _matches(topic: str, pattern: str) -> bool:
    if len(pattern) > _MAX_LENGTH:
        return False
    # ``*`` alone is special.
    return fnmatchcase(topic, pattern.replace("[", "[[]").replace("?", "[?]"))
