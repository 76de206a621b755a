"""Graphs and their versions: stored, checked, made ready to run."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from app.services.errors import CodeChanged, GraphExists, GraphReadOnly
from app.storage.errors import RevisionConflict
from app.storage.repositories.graphs import GraphPage, GraphRepository, NewVersion, StoredVersion
from graphwire.clock import Clock
from graphwire.engine.plan import Plan, compile_plan
from graphwire.engine.ports import Claim
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import GraphInUse, InvalidInput, NotFound, Problem, quoted
from graphwire.graphs.code import Code
from graphwire.graphs.definition import GraphDefinition, parse_definition
from graphwire.graphs.loader import Loaded
from graphwire.graphs.registry import Registry
from graphwire.graphs.state_schema import StateSchema
from graphwire.graphs.validation import Findings, check, check_value, validate_value
from graphwire.json_text import read_json
from graphwire.types import GraphId

FROM_API = "api"
MAX_KEPT = 1_000
LARGE_ITEMS = 2_000
LARGE_BYTES = 20_000
"""Some 200 nodes: what is larger is not parsed, checked and compiled on the event loop."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GraphView:
    """A version of a graph, as it is stored, with what can be said against it."""

    id: GraphId
    version: int
    definition: bytes
    warnings: Sequence[Problem] = ()
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True)
class Runnable:
    """A version, ready to be started.

    Attributes:
        node_ids: Of all its nodes, those inside bodies included.
    """

    plan: Plan
    schema: StateSchema | None
    node_ids: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Checked:
    """A definition that can run, as it is stored."""

    definition: GraphDefinition
    text: bytes
    digest: str
    warnings: Sequence[Problem]

    @classmethod
    def of(cls, definition: GraphDefinition, warnings: Sequence[Problem]) -> "_Checked":
        return cls(definition, definition.to_json(), definition.digest(), warnings)

    @property
    def id(self) -> GraphId:
        return GraphId(self.definition.id)


class GraphService:
    """Keeps graphs. What is changed here is the only thing that changes them, so the newest versions are remembered.

    Args:
        max_nodes: Of a definition; likewise ``max_edges``.
    """

    def __init__(
        self,
        repository: GraphRepository,
        registry: Registry,
        supervisor: Supervisor,
        clock: Clock,
        *,
        max_nodes: int,
        max_edges: int,
    ) -> None:
        self._repository = repository
        self._registry = registry
        self._supervisor = supervisor
        self._clock = clock
        self._max_nodes = max_nodes
        self._max_edges = max_edges
        self._code: dict[GraphId, Code] = {}
        self._latest: dict[GraphId, StoredVersion] = {}
        # A version never changes, and neither does what follows from it.
        self._runnable: dict[tuple[GraphId, int], Runnable] = {}
        self._replayable: dict[tuple[GraphId, int], Plan] = {}
        self._findings: dict[tuple[GraphId, int], Findings] = {}
        # One large definition at a time: side by side in threads they would only slow the loop down.
        self._large = asyncio.Lock()
        self._changes = 0
        self._starting: Counter[GraphId] = Counter()
        self._deleting: dict[GraphId, asyncio.Event] = {}

    @property
    def registry(self) -> Registry:
        """The node types that definitions may name."""
        return self._registry

    async def adopt(self, loaded: Loaded) -> Sequence[Problem]:
        """Store a graph of the operator's as it is now; its code comes from where it was read. Returns warnings.

        Raises:
            InvalidInput: It is not valid; the stored version stays.
        """
        checked = await asyncio.to_thread(self._check, loaded.definition, loaded.code)
        self._code[checked.id] = loaded.code
        await self._put(checked, source=str(loaded.source_path.parent), code_digest=loaded.digest or None)
        return checked.warnings

    async def create(self, value: Any, claim: Claim | None = None) -> GraphView:
        """Store a new graph, with ``claim``.

        Raises:
            InvalidInput: It is not valid.
            GraphExists: There is one with its id.
        """
        checked = await self._checked(value)
        try:
            version, _ = await self._put(checked, source=FROM_API, expected_version=0, claim=claim)
        except RevisionConflict:
            raise GraphExists(f"there is a graph {quoted(checked.id)}; PUT makes a new version of it") from None
        return GraphView(checked.id, version, checked.text, checked.warnings)

    async def replace(self, graph_id: GraphId, value: Any) -> tuple[GraphView, bool]:
        """Store a definition as the newest version; also returns whether that made the graph.

        Running executions keep theirs. A definition that changes nothing makes no version.

        Raises:
            InvalidInput: It is not valid, or its id is another one.
            GraphReadOnly: The graph comes from a folder.
        """
        given = value.get("id") if isinstance(value, dict) else None
        detail = f"the id must be {quoted(graph_id)}, as in the address"
        is_other = isinstance(given, str) and given != graph_id
        checked = await self._checked(value, [Problem("/id", "wrong_id", detail)] if is_other else [])
        await self._require_writable(graph_id)
        version, is_new = await self._put(checked, source=FROM_API)
        return GraphView(graph_id, version, checked.text, checked.warnings), is_new

    async def get(self, graph_id: GraphId) -> GraphView:
        """Return the newest version; one that is not valid any more is shown with its problems.

        Raises:
            NotFound: There is no such graph.
        """
        return await self._view(await self._stored(graph_id, None))

    async def made(self, graph_id: GraphId, version: int) -> GraphView:
        """Return a version as it was made, whatever has become of its graph."""
        return await self._view(await self._stored(graph_id, version))

    async def definition(self, graph_id: GraphId) -> GraphDefinition:
        """Return the newest definition.

        Raises:
            NotFound: There is no such graph.
            GraphInvalid: It cannot be read any more.
        """
        stored = await self._stored(graph_id, None)
        return await self._made(len(stored.definition) > LARGE_BYTES, lambda: _parsed(stored))

    async def list(self, *, limit: int, after: str | None) -> GraphPage:
        """Return a page of graphs, in the order of their ids.

        Raises:
            InvalidCursor: ``after`` is no ``next`` of a page.
        """
        return await self._repository.list(limit=limit, after=after)

    async def delete(self, graph_id: GraphId) -> None:
        """Delete a graph. Its executions stay.

        Raises:
            NotFound: There is no such graph.
            GraphReadOnly: It comes from a folder.
            GraphInUse: An execution of it has not ended, or starts.
        """
        await self._stored(graph_id, None)
        await self._require_writable(graph_id)
        async with self._deletion(graph_id):
            if self._supervisor.uses(graph_id) or self._starting[graph_id]:
                raise GraphInUse("an execution of this graph has not ended")
            if not await self._repository.delete(graph_id, now=self._now()):
                raise _no_graph(graph_id)

    @asynccontextmanager
    async def starting(self, graph_id: GraphId) -> AsyncIterator[None]:
        """Keep a graph from being deleted while an execution of it starts; waits for a deletion that has begun."""
        while (deleted := self._deleting.get(graph_id)) is not None:
            await deleted.wait()
        self._starting[graph_id] += 1
        try:
            yield
        finally:
            self._starting[graph_id] -= 1
            if not self._starting[graph_id]:
                del self._starting[graph_id]

    def node_types(self) -> Sequence[dict[str, Any]]:
        """Return what a definition may name as ``type``."""
        return self._registry.describe()

    async def runnable(self, graph_id: GraphId, version: int | None = None) -> Runnable:
        """Return a version ready to be started; None is the newest.

        Raises:
            NotFound: There is no such graph.
            InvalidInput: There is no such version, or it is not valid any more.
            CodeChanged: It is an old version, and the code that it names is not what it was.
        """
        latest = await self._stored(graph_id, None)
        wanted = latest.info.version if version is None else version
        known = self._runnable.get((graph_id, wanted))
        if known is not None:
            return known
        stored = latest if wanted == latest.info.version else await self._stored(graph_id, wanted)
        code = self._code_of(stored)
        if stored.info.code_digest is not None and code is not None and code.digest != stored.info.code_digest:
            raise CodeChanged(f"the code of version {wanted} is not what it was", version=wanted)
        return await self._remembered(self._runnable, stored, lambda: self._compiled(stored, code))

    async def replayable(self, graph_id: GraphId, version: int) -> Plan:
        """Return the plan of a stored version for repeating its commits, which calls no code.

        Raises:
            InvalidInput: There is no such version, or it is not valid any more.
        """
        known = self._replayable.get((graph_id, version))
        if known is None:
            stored = await self._stored(graph_id, version)
            code = self._code_of(stored) or Code()
            known = await self._remembered(
                self._replayable, stored, lambda: compile_plan(_parsed(stored), self._registry, code, version)
            )
        return known

    def _compiled(self, stored: StoredVersion, code: Code | None) -> Runnable:
        definition, _ = self._valid(read_json(stored.definition), code)
        plan = compile_plan(definition, self._registry, code or Code(), stored.info.version)
        schema = definition.state.schema_
        return Runnable(plan, None if schema is None else StateSchema(schema), frozenset(_node_ids(plan)))

    def _found(self, stored: StoredVersion) -> Findings:
        try:
            return validate_value(read_json(stored.definition), self._registry, code=self._code_of(stored))
        except InvalidInput as error:
            return Findings(error.problems)

    async def _checked(self, value: Any, known: Sequence[Problem] = ()) -> _Checked:
        return await self._made(_is_large(value), lambda: _Checked.of(*self._valid(value, None, known)))

    def _check(self, definition: GraphDefinition, code: Code) -> _Checked:
        warnings = check(definition, self._registry, code=code, max_nodes=self._max_nodes, max_edges=self._max_edges)
        return _Checked.of(definition, warnings)

    def _valid(
        self, value: Any, code: Code | None, known: Sequence[Problem] = ()
    ) -> tuple[GraphDefinition, Sequence[Problem]]:
        return check_value(
            value, self._registry, code=code, max_nodes=self._max_nodes, max_edges=self._max_edges, known=known
        )

    async def _made(self, is_large: bool, make: Callable[[], T]) -> T:
        if not is_large:
            return make()
        async with self._large:
            return await asyncio.to_thread(make)

    async def _remembered(
        self, memory: dict[tuple[GraphId, int], T], stored: StoredVersion, make: Callable[[], T]
    ) -> T:
        """Return what follows from a version; made once, however many ask for it at the same time."""
        key = stored.info.graph_id, stored.info.version
        if key not in memory and len(stored.definition) <= LARGE_BYTES:
            _keep(memory, key, make())
        if key in memory:
            return memory[key]
        async with self._large:
            if key in memory:
                return memory[key]
            made = await asyncio.to_thread(make)
            _keep(memory, key, made)
            return made

    @asynccontextmanager
    async def _deletion(self, graph_id: GraphId) -> AsyncIterator[None]:
        while (other := self._deleting.get(graph_id)) is not None:
            await other.wait()
        deleted = self._deleting[graph_id] = asyncio.Event()
        try:
            yield
        finally:
            self._changed(graph_id)
            del self._deleting[graph_id]
            deleted.set()

    def _changed(self, graph_id: GraphId) -> None:
        """Forget the newest version. Called when a change is done: a read that overlaps it must not be remembered."""
        self._changes += 1
        self._latest.pop(graph_id, None)

    async def _view(self, stored: StoredVersion) -> GraphView:
        found = await self._remembered(self._findings, stored, lambda: self._found(stored))
        info = stored.info
        return GraphView(info.graph_id, info.version, stored.definition, found.warnings, found.problems)

    async def _put(
        self,
        checked: _Checked,
        *,
        source: str,
        code_digest: str | None = None,
        expected_version: int | None = None,
        claim: Claim | None = None,
    ) -> tuple[int, bool]:
        new = NewVersion(
            checked.id,
            checked.text,
            checked.digest,
            source,
            code_digest=code_digest,
            name=checked.definition.name,
            description=checked.definition.description,
        )
        try:
            done = await self._repository.put(new, now=self._now(), expected_version=expected_version, claim=claim)
        finally:
            self._changed(new.graph_id)
        _keep(self._findings, (new.graph_id, done.version), Findings((), tuple(checked.warnings)))
        return done.version, done.is_new

    async def _stored(self, graph_id: GraphId, version: int | None) -> StoredVersion:
        if version is not None:
            stored = await self._repository.get_version(graph_id, version)
            if stored is None:
                detail = f"graph {quoted(graph_id)} has no version {version}"
                raise InvalidInput(detail, [Problem("/version", "unknown_version", detail)])
            return stored
        known = self._latest.get(graph_id)
        if known is None:
            changes = self._changes
            known = await self._repository.get(graph_id)
            if known is None:
                raise _no_graph(graph_id)
            if changes == self._changes:
                _keep(self._latest, graph_id, known)
        return known

    def _code_of(self, stored: StoredVersion) -> Code | None:
        if stored.info.source == FROM_API:
            return None  # what came as data names no code
        return self._code.get(stored.info.graph_id, Code())

    async def _require_writable(self, graph_id: GraphId) -> None:
        stored = await self._repository.get(graph_id)
        if stored is not None and stored.info.source != FROM_API and graph_id in self._code:
            raise GraphReadOnly(f"graph {quoted(graph_id)} comes from a folder and is changed there")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC)


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


def _no_graph(graph_id: GraphId) -> NotFound:
    return NotFound(f"there is no graph {quoted(graph_id)}")


def _node_ids(plan: Plan) -> list[str]:
    found: list[str] = []
    waiting = [plan]
    while waiting:
        for node in waiting.pop().nodes:
            found.append(node.id)
            if node.body is not None:
                waiting.append(node.body)
    return found


def _keep(memory: dict[Any, Any], key: Any, value: Any) -> None:
    """Remember, and forget the oldest beyond the bound."""
    if len(memory) >= MAX_KEPT:
        del memory[next(iter(memory))]
    memory[key] = value
