"""Graphs and their versions: stored, checked, made ready to run."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.services.errors import CodeChanged, GraphExists, GraphReadOnly
from app.storage.errors import RevisionConflict
from app.storage.repositories.graphs import GraphPage, GraphRepository, NewVersion, StoredVersion
from graphwire.clock import Clock
from graphwire.engine.plan import Plan, compile_plan
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import GraphInUse, GraphInvalid, InvalidInput, NotFound, Problem, quoted
from graphwire.graphs.code import Code
from graphwire.graphs.definition import GraphDefinition, parse_definition
from graphwire.graphs.loader import Loaded
from graphwire.graphs.registry import Registry
from graphwire.graphs.state_schema import StateSchema
from graphwire.graphs.validation import check, validate
from graphwire.json_text import read_json
from graphwire.types import GraphId

FROM_API = "api"
MAX_KEPT = 1_000


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
        self._runnable: dict[tuple[GraphId, int], Runnable] = {}
        self._changes = 0
        self._starting: Counter[GraphId] = Counter()
        self._deleting: dict[GraphId, asyncio.Event] = {}

    async def adopt(self, loaded: Loaded) -> Sequence[Problem]:
        """Store a graph of the operator's as it is now; its code comes from where it was read. Returns warnings.

        Raises:
            InvalidInput: It is not valid; the stored version stays.
        """
        definition = loaded.definition
        warnings = check(
            definition, self._registry, code=loaded.code, max_nodes=self._max_nodes, max_edges=self._max_edges
        )
        graph_id = GraphId(definition.id)
        self._code[graph_id] = loaded.code
        await self._put(definition, source=str(loaded.source_path.parent), code_digest=loaded.digest or None)
        return warnings

    async def create(self, value: Any) -> GraphView:
        """Store a new graph.

        Raises:
            InvalidInput: It is not valid.
            GraphExists: There is one with its id.
        """
        definition, warnings = self._checked(value)
        try:
            version, _ = await self._put(definition, source=FROM_API, expected_version=0)
        except RevisionConflict:
            raise GraphExists(f"there is a graph {quoted(definition.id)}; PUT makes a new version of it") from None
        return GraphView(GraphId(definition.id), version, definition.to_json(), warnings)

    async def replace(self, graph_id: GraphId, value: Any) -> tuple[GraphView, bool]:
        """Store a definition as the newest version; also returns whether that made the graph.

        Running executions keep theirs. A definition that changes nothing makes no version.

        Raises:
            InvalidInput: It is not valid, or its id is another one.
            GraphReadOnly: The graph comes from a folder.
        """
        definition, warnings = self._checked(value)
        if definition.id != graph_id:
            detail = f"the id must be {quoted(graph_id)}, as in the address"
            raise GraphInvalid(detail, [Problem("/id", "wrong_id", detail)])
        await self._require_writable(graph_id)
        version, is_new = await self._put(definition, source=FROM_API)
        return GraphView(graph_id, version, definition.to_json(), warnings), is_new

    async def get(self, graph_id: GraphId) -> GraphView:
        """Return the newest version; one that is not valid any more is shown with its problems.

        Raises:
            NotFound: There is no such graph.
        """
        stored = await self._stored(graph_id, None)
        try:
            definition = parse_definition(read_json(stored.definition))
        except InvalidInput as error:
            return GraphView(graph_id, stored.info.version, stored.definition, problems=error.problems)
        found = validate(definition, self._registry, code=self._code_of(stored))
        return GraphView(graph_id, stored.info.version, stored.definition, found.warnings, found.problems)

    async def definition(self, graph_id: GraphId) -> GraphDefinition:
        """Return the newest definition.

        Raises:
            NotFound: There is no such graph.
            GraphInvalid: It cannot be read any more.
        """
        return parse_definition(read_json((await self._stored(graph_id, None)).definition))

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
        made = self._compiled(stored, code)
        _keep(self._runnable, (graph_id, wanted), made)
        return made

    async def replayable(self, graph_id: GraphId, version: int) -> Plan:
        """Return the plan of a stored version for repeating its commits, which calls no code.

        Raises:
            InvalidInput: There is no such version, or it is not valid any more.
        """
        stored = await self._stored(graph_id, version)
        definition = parse_definition(read_json(stored.definition))
        return compile_plan(definition, self._registry, self._code_of(stored) or Code(), version)

    def _compiled(self, stored: StoredVersion, code: Code | None) -> Runnable:
        definition = parse_definition(read_json(stored.definition))
        check(definition, self._registry, code=code, max_nodes=self._max_nodes, max_edges=self._max_edges)
        plan = compile_plan(definition, self._registry, code or Code(), stored.info.version)
        schema = definition.state.schema_
        return Runnable(plan, None if schema is None else StateSchema(schema), frozenset(_node_ids(plan)))

    def _checked(self, value: Any) -> tuple[GraphDefinition, Sequence[Problem]]:
        definition = parse_definition(value)
        return definition, check(definition, self._registry, max_nodes=self._max_nodes, max_edges=self._max_edges)

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

    async def _put(
        self,
        definition: GraphDefinition,
        *,
        source: str,
        code_digest: str | None = None,
        expected_version: int | None = None,
    ) -> tuple[int, bool]:
        new = NewVersion(
            GraphId(definition.id),
            definition.to_json(),
            definition.digest(),
            source,
            code_digest=code_digest,
            name=definition.name,
            description=definition.description,
        )
        try:
            done = await self._repository.put(new, now=self._now(), expected_version=expected_version)
        finally:
            self._changed(new.graph_id)
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
