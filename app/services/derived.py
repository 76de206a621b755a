"""What follows from a definition: its findings and its plan. Made once, and what is large is made beside the loop."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from app.services.remembered import Key, Memory, Part
from app.storage.repositories.graphs import StoredVersion
from graphwire.engine.breakpoints import node_ids
from graphwire.engine.plan import Plan, compile_plan
from graphwire.errors import GraphInvalid, InvalidInput, Problem
from graphwire.graphs.code import Code
from graphwire.graphs.definition import GraphDefinition, parse_definition
from graphwire.graphs.references import Reference
from graphwire.graphs.registry import Registry
from graphwire.graphs.validation import Findings, examined, refusal, validate
from graphwire.json_text import read_json
from graphwire.types import GraphId

MAX_MARKS = 50_000
LARGE_ITEMS = 2_000
LARGE_DEFINITION_BYTES = 20_000
"""Some 200 nodes: what is larger is not parsed, checked and compiled on the event loop."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Runnable:
    """A version, ready to be started.

    Attributes:
        node_ids: Of all its nodes, those inside bodies included, and of the graphs that it runs.
        references: The graphs that it names, whose plans are not there yet.
    """

    plan: Plan
    node_ids: frozenset[str] = field(repr=False)
    references: Sequence[Reference] = ()

    def with_plan(self, plan: Plan) -> "Runnable":
        """Return it with the plans of the graphs that it runs."""
        return self if plan is self.plan else Runnable(plan, frozenset(node_ids(plan)))


@dataclass(frozen=True, slots=True)
class _Weighed(Generic[T]):
    value: T
    weight: int


@dataclass(frozen=True, slots=True)
class Checked:
    """A definition that can run, as it is stored."""

    definition: GraphDefinition
    text: bytes
    digest: str
    findings: Findings
    warnings: Sequence[Problem]

    @classmethod
    def of(cls, definition: GraphDefinition, findings: Findings) -> "Checked":
        return cls(definition, definition.to_json(), definition.digest(), findings, findings.warnings)

    @property
    def id(self) -> GraphId:
        return GraphId(self.definition.id)


@dataclass(frozen=True, slots=True)
class Judged:
    """What can be said about a value. ``text`` is its canonical form where it has the shape of a definition."""

    text: bytes | None
    findings: Findings


class Derived:
    """Checks and compiles. A version never changes, so what follows from one is remembered.

    Args:
        memory: Where that is.
        max_nodes: Of a definition; likewise ``max_edges``.
    """

    def __init__(self, registry: Registry, memory: Memory, *, max_nodes: int, max_edges: int) -> None:
        self._registry = registry
        self._memory = memory
        self._max_nodes = max_nodes
        self._max_edges = max_edges
        self._runnable = Part[Runnable](memory)
        self._replayable = Part[Plan](memory)
        self._findings = Part[Findings](memory)
        self._marked = Memory(MAX_MARKS)
        self._marks = Part[bool](self._marked)
        # One large definition at a time: side by side in threads they would only slow the loop down.
        self._large = asyncio.Lock()

    async def checked(self, value: Any, known: Sequence[Problem] = ()) -> Checked:
        """Check a definition that came as data. ``known`` are problems that were found already.

        Raises:
            InvalidInput: It is not valid.
        """

        return await self.made(_is_large(value), lambda: self.check(value, known=known))

    def check(
        self, value: GraphDefinition | Any, code: Code | None = None, *, known: Sequence[Problem] = ()
    ) -> Checked:
        """Check a definition, or a JSON value that is to be one. Raises as ``checked``."""
        limits = {"max_nodes": self._max_nodes, "max_edges": self._max_edges}
        return Checked.of(*examined(value, self._registry, code=code, known=known, **limits))

    async def judged(self, value: Any) -> Judged:
        """Say all that can be said about a definition that came as data."""
        return await self.made(_is_large(value), lambda: self._judged(value))

    async def findings(self, stored: StoredVersion, code: Code | None) -> Findings:
        """Return what can be said against a version."""
        found = await self._remembered(self._findings, stored, lambda: _weighed(self._found(stored, code)))
        self._marks.keep(_key(stored), not found.problems, 1)
        return found

    def note(self, key: Key, findings: Findings) -> None:
        """Remember what was found when a version was stored."""
        self._findings.keep(key, findings, _weighed(findings).weight)
        self._marks.keep(key, not findings.problems, 1)

    def forget(self, graph_id: GraphId) -> None:
        """Forget all about a graph: it is deleted."""
        self._memory.forget(graph_id)
        self._marked.forget(graph_id)

    def is_valid(self, key: Key) -> bool | None:
        """Return whether a version can run, as far as that is known."""
        return self._marks.get(key)

    async def mark(self, versions: Sequence[tuple[StoredVersion, Code | None]]) -> None:
        """Find out which of these versions can run."""

        def look() -> list[bool]:
            return [not self._found(stored, code).problems for stored, code in versions]

        size = sum(len(stored.definition) for stored, _ in versions)
        for (stored, _), is_valid in zip(versions, await self.made(size > LARGE_DEFINITION_BYTES, look), strict=True):
            self._marks.keep(_key(stored), is_valid, 1)

    def known(self, key: Key) -> Runnable | None:
        """Return a version that was made ready before."""
        return self._runnable.get(key)

    def known_plan(self, key: Key) -> Plan | None:
        """Return a plan that was made for repeating commits before."""
        return self._replayable.get(key)

    async def runnable(self, stored: StoredVersion, code: Code | None) -> Runnable:
        """Make a version ready to be started.

        Raises:
            InvalidInput: It is not valid any more.
        """
        found = await self.findings(stored, code)
        if found.problems:
            raise refusal(found)
        return await self._remembered(self._runnable, stored, lambda: self._compiled(stored, code, found.references))

    async def replayable(self, stored: StoredVersion, code: Code) -> Plan:
        """Return the plan of a version for repeating its commits, which calls no code.

        Raises:
            InvalidInput: It is not valid any more.
        """
        return await self._remembered(self._replayable, stored, lambda: self._planned(stored, code))

    async def definition(self, stored: StoredVersion) -> GraphDefinition:
        """Return the definition of a version.

        Raises:
            InvalidInput: It cannot be read any more.
        """
        return await self.made(len(stored.definition) > LARGE_DEFINITION_BYTES, lambda: _parsed(stored))

    async def made(self, is_large: bool, make: Callable[[], T]) -> T:
        """Return what ``make`` makes; of something large in a thread, one at a time."""
        if not is_large:
            return make()
        async with self._large:
            return await asyncio.to_thread(make)

    def _judged(self, value: Any) -> Judged:
        try:
            definition = parse_definition(value)
        except GraphInvalid:
            return Judged(None, self._validated(value, None))
        return Judged(definition.to_json(), self._validated(definition, None))

    def _found(self, stored: StoredVersion, code: Code | None) -> Findings:
        try:
            return self._validated(read_json(stored.definition), code)
        except InvalidInput as error:
            return Findings(error.problems or (Problem("", error.code, error.detail),))

    def _validated(self, value: GraphDefinition | Any, code: Code | None) -> Findings:
        return validate(value, self._registry, code=code, max_nodes=self._max_nodes, max_edges=self._max_edges)

    def _compiled(
        self, stored: StoredVersion, code: Code | None, references: Sequence[Reference]
    ) -> _Weighed[Runnable]:
        planned = self._planned(stored, code or Code())
        runnable = Runnable(planned.value, frozenset(node_ids(planned.value)), references)
        return _Weighed(runnable, planned.weight)

    def _planned(self, stored: StoredVersion, code: Code) -> _Weighed[Plan]:
        definition = _parsed(stored)
        return _Weighed(compile_plan(definition, self._registry, code, stored.info.version), plan_bytes(definition))

    async def _remembered(self, part: Part[T], stored: StoredVersion, make: Callable[[], _Weighed[T]]) -> T:
        """Return what follows from a version; made once, however many ask for it at the same time."""
        key = _key(stored)
        known = part.get(key)
        if known is not None:
            return known
        if len(stored.definition) <= LARGE_DEFINITION_BYTES:
            made = make()
        else:
            async with self._large:
                known = part.get(key)
                if known is not None:
                    return known
                made = await asyncio.to_thread(make)
        part.keep(key, made.value, made.weight)
        return made.value


def _key(stored: StoredVersion) -> Key:
    return stored.info.graph_id, stored.info.version


def _parsed(stored: StoredVersion) -> GraphDefinition:
    return parse_definition(read_json(stored.definition))


def _is_large(value: Any) -> bool:
    """Say whether a JSON value has more than ``LARGE_ITEMS`` values in it, without looking at many more."""
    waiting, count = [value], 0
    while waiting and count <= LARGE_ITEMS:
        each = waiting.pop()
        inner = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        count += len(inner)
        waiting += inner
    return count > LARGE_ITEMS


def plan_bytes(definition: GraphDefinition) -> int:
    """Return about how many bytes the plan of a definition takes: a compiled expression has hundreds a character."""
    nodes = sum(2_500 + 180 * len(json.dumps(node.config)) for node in definition.nodes)
    edges = sum(1_200 + 300 * len(edge.when or "") for edge in definition.edges)
    return nodes + edges + 20 * len(json.dumps([definition.state.initial, definition.state.schema_]))


def _weighed(findings: Findings) -> _Weighed[Findings]:
    told = (*findings.problems, *findings.warnings)
    return _Weighed(findings, 500 + sum(300 + len(each.pointer) + len(each.detail) for each in told))
