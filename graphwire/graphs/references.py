"""Graphs that run other graphs: which ones, in which versions, and whether that ends."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from graphwire.errors import Problem, quoted

MAX_REFERENCE_DEPTH: Final = 16
MAX_REFERENCES: Final = 1_000


class Reference(NamedTuple):
    """Where a graph names another one.

    Attributes:
        pointer: Of the name, in the graph that names it.
        version: None for the newest.
    """

    pointer: str
    graph: str
    version: int | None = None


class Named(NamedTuple):
    """A graph as a reference names it."""

    graph: str
    version: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a name stands for.

    Attributes:
        version: Where there are versions; else 1.
        references: The graphs that it runs in turn.
        flaw: Why it cannot run, in a sentence; "" if it can.
    """

    version: int
    references: Sequence[Reference] = ()
    flaw: str = ""


class Resolution:
    """Finds out what a graph runs, directly and by way of others. Somebody else looks names up::

        while (named := resolution.wanted) is not None:
            resolution.give(named, look_up(named))

    Args:
        graph: The id of the graph.
        version: Its version; None for one that is not stored yet, and would be the newest.
        references: The graphs that it names.
    """

    def __init__(self, graph: str, version: int | None, references: Iterable[Reference]) -> None:
        self._root = Named(graph, version)
        self._references = tuple(references)
        self._found: dict[Named, Found | None] = {}
        if version is None:
            self._found[self._root] = Found(0, self._references)
        self._waiting: dict[Named, None] = {}
        self._is_full = False
        self._want(self._references)

    @property
    def wanted(self) -> Named | None:
        """A name that is to be looked up next; None once all are."""
        return next(iter(self._waiting), None)

    def give(self, named: Named, found: Found | None) -> None:
        """Take what the wanted name stands for; None where there is no such graph."""
        del self._waiting[named]
        self._found[named] = found
        if found is not None:
            self._want(found.references)

    @property
    def versions(self) -> Mapping[str, int]:
        """The versions of the graphs that are named without one, by id."""
        return {
            named.graph: found.version
            for named, found in sorted(self._found.items())
            if found is not None and named.version is None and named != self._root
        }

    def problems(self) -> tuple[Sequence[Problem], Sequence[Problem]]:
        """Return why the graph can never run as it is, and why it cannot run now; at the references in the graph."""
        never: list[Problem] = []
        now: list[Problem] = []
        if self._is_full:
            detail = f"it runs more than {MAX_REFERENCES:,} other graphs"
            never.append(Problem(self._references[0].pointer, "too_many_graphs", detail))
            return never, now
        sound: set[Named] = set()
        for reference in self._references:
            fault = self._fault(Named(reference.graph, reference.version), [self._root], sound)
            if fault is not None:
                (never if fault[0] in ("graph_cycle", "too_deep") else now).append(Problem(reference.pointer, *fault))
        return never, now

    def _want(self, references: Iterable[Reference]) -> None:
        for reference in references:
            named = Named(reference.graph, reference.version)
            if named in self._found or named in self._waiting:
                continue
            if len(self._found) + len(self._waiting) - (self._root in self._found) >= MAX_REFERENCES:
                self._is_full = True  # nothing more is looked up
                self._waiting.clear()
                return
            self._waiting[named] = None

    def _fault(self, named: Named, above: list[Named], sound: set[Named]) -> tuple[str, str] | None:
        """Return the code and the words of what is wrong below a name. Recurses as deep as references may."""
        found = self._found.get(named)
        if found is None:
            which = f"{quoted(named.graph)}" + ("" if named.version is None else f" in version {named.version}")
            by = "" if len(above) == 1 else f", which {quoted(above[-1].graph)} runs"
            return "unknown_graph", f"there is no graph {which}{by}"
        exact = Named(named.graph, found.version or None)
        if exact in above:
            way = " → ".join(quoted(each.graph) for each in [*above[above.index(exact) :], exact])
            return "graph_cycle", f"the graph would run itself: {way}"
        if len(above) > MAX_REFERENCE_DEPTH:
            return "too_deep", f"graphs may run one another {MAX_REFERENCE_DEPTH} deep"
        if found.flaw:
            return "invalid_graph", f"graph {quoted(named.graph)} cannot run: {found.flaw}"
        for reference in found.references if exact not in sound else ():
            fault = self._fault(Named(reference.graph, reference.version), [*above, exact], sound)
            if fault is not None:
                return fault
        sound.add(exact)
        return None
