"""Graphs and their versions: stored, listed, compared, deleted, made ready to run."""

import asyncio
from collections.abc import Container, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from app.services.deletions import Deletions
from app.services.derived import LARGE_DEFINITION_BYTES, Checked, Derived, Judged, Runnable
from app.services.errors import CodeChanged, GraphExists, GraphReadOnly, PreconditionRequired
from app.services.graph_views import Adopted, GraphView, ListedGraph
from app.services.links import Links
from app.services.remembered import Memory, Part
from app.storage.errors import RevisionConflict
from app.storage.repositories.graphs import (
    FROM_API,
    GraphPage,
    GraphRepository,
    NewVersion,
    Put,
    StoredVersion,
    VersionInfo,
    VersionPage,
    expect,
)
from graphwire.clock import Clock, utc
from graphwire.engine.plan import Plan
from graphwire.engine.ports import Claim
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import InvalidInput, NotFound, Problem, quoted
from graphwire.graphs.code import Code
from graphwire.graphs.definition import GraphDefinition
from graphwire.graphs.difference import Difference, difference
from graphwire.graphs.loader import Loaded
from graphwire.graphs.references import Named
from graphwire.graphs.registry import Registry
from graphwire.graphs.validation import Findings
from graphwire.json_text import read_json
from graphwire.types import GraphId

NEWEST = 0
"""Under which the number of the newest version is remembered."""
MAX_NUMBERS = 50_000
ABSENT: Container[int] = frozenset({0})
"""What a change expects that may only make a graph."""
MARKED_BYTES = 1_000_000
"""Of definitions that a page of graphs looks at, where it is not known yet whether they are valid."""


@dataclass(slots=True)
class _Folder:
    """What the operator's folders say about a graph.

    Attributes:
        code: What it names; None until a file of it was good.
        problems: Of its file as it is now; the last good version stays.
        is_gone: Whether no file has it any more, so that it may be changed and deleted here.
    """

    code: Code | None = None
    problems: Sequence[Problem] = ()
    is_gone: bool = False


class GraphService:
    """Keeps graphs. What is changed here is the only thing that changes them, so the newest versions are remembered.

    Args:
        memory: Bounds the bytes, about, that are remembered of all graphs together.
        max_nodes: Of a definition; likewise ``max_edges``.
    """

    def __init__(
        self,
        repository: GraphRepository,
        registry: Registry,
        supervisor: Supervisor,
        clock: Clock,
        memory: Memory,
        *,
        max_nodes: int,
        max_edges: int,
    ) -> None:
        self._repository = repository
        self._registry = registry
        self._clock = clock
        self._derived = Derived(registry, memory, max_nodes=max_nodes, max_edges=max_edges)
        self._deletions = Deletions(supervisor)
        self._links = Links(self._find, self._findings, self._ready)
        self._folders: dict[GraphId, _Folder] = {}
        self._stored = Part[StoredVersion](memory)
        self._latest = Memory(MAX_NUMBERS)
        self._numbers = Part[int](self._latest)
        self._changes = 0

    @property
    def registry(self) -> Registry:
        """The node types that definitions may name."""
        return self._registry

    # --- folders --------------------------------------------------------------------------------------------------

    async def adopt(self, loaded: Loaded) -> Adopted:
        """Store a graph of the operator's as it is now; its code comes from where it was read.

        Raises:
            InvalidInput: It is not valid; the stored version stays.
        """
        checked = await asyncio.to_thread(self._derived.check, loaded.definition, loaded.code)
        known = self._folders.get(checked.id)
        before = await self._repository.get(checked.id) if known is None or known.is_gone else None
        done = await self._put(checked, source=str(loaded.source_path), code_digest=loaded.digest or None)
        self._folders[checked.id] = _Folder(loaded.code)
        is_taken = before is not None and before.info.source == FROM_API
        return Adopted(done.version, done.is_changed, is_taken, checked.warnings)

    def report(self, graph_id: GraphId, problems: Sequence[Problem], *, is_gone: bool = False) -> None:
        """Show with a graph what is wrong with its file; its last good version stays. Ends when it is adopted."""
        folder = self._folders.setdefault(graph_id, _Folder())
        folder.problems, folder.is_gone = problems, is_gone

    async def sources(self) -> Mapping[GraphId, Path]:
        """Return of each graph that is not deleted and came from a file, which file that was."""
        found = await self._repository.sources()
        return {graph_id: Path(source) for graph_id, source in found if source != FROM_API}

    # --- changes --------------------------------------------------------------------------------------------------

    async def create(self, value: Any, claim: Claim | None = None) -> GraphView:
        """Store a new graph, with ``claim``.

        Raises:
            InvalidInput: It is not valid.
            GraphExists: There is one with its id.
        """
        checked = await self._links.checked(await self._derived.checked(value))
        try:
            done = await self._put(checked, source=FROM_API, expected=ABSENT, claim=claim)
        except RevisionConflict:
            raise GraphExists(f"there is a graph {quoted(checked.id)}; PUT makes a new version of it") from None
        return GraphView(checked.id, done.version, checked.text, checked.warnings)

    async def replace(
        self, graph_id: GraphId, value: Any, *, expected: Container[int] | None
    ) -> tuple[GraphView, bool]:
        """Store a definition as the newest version; also returns whether that made the graph.

        Running executions keep theirs. A definition that changes nothing makes no version.

        Args:
            graph_id: Which.
            value: The definition.
            expected: What the newest version may be, 0 where there may be no such graph. None makes a graph only.

        Raises:
            InvalidInput: It is not valid, or its id is another one.
            GraphReadOnly: The graph comes from a folder.
            PreconditionRequired: There is such a graph, and nothing is expected of it.
            RevisionConflict: The newest version is another one.
        """
        self._expect(await self._writable(graph_id), expected)
        given = value.get("id") if isinstance(value, dict) else None
        detail = f"the id must be {quoted(graph_id)}, as in the address"
        is_other = isinstance(given, str) and given != graph_id
        known = [Problem("/id", "wrong_id", detail)] if is_other else []
        checked = await self._links.checked(await self._derived.checked(value, known))
        try:
            done = await self._put(checked, source=FROM_API, expected=ABSENT if expected is None else expected)
        except RevisionConflict as error:
            if expected is None:
                raise _required(error.facts["current"]) from None
            raise
        return GraphView(graph_id, done.version, checked.text, checked.warnings), done.is_new

    async def delete(
        self, graph_id: GraphId, *, expected: Container[int] | None = None, is_forced: bool = False
    ) -> None:
        """Delete a graph. Its executions stay.

        Args:
            graph_id: Which.
            expected: What its newest version may be; None where it does not matter.
            is_forced: Cancel its executions first, and wait until they have ended.

        Raises:
            NotFound: There is no such graph.
            GraphReadOnly: It comes from a folder.
            RevisionConflict: The newest version is another one; nothing was cancelled.
            GraphInUse: An execution of it has not ended, or starts.
        """
        async with self._deletions.deleting(graph_id):
            stored = await self._writable(graph_id)
            if stored is None:
                raise _no_graph(graph_id)
            expect(stored.info.version, expected)
            if is_forced:
                await self._deletions.end_executions(graph_id)
            else:
                self._deletions.require_unused(graph_id)
            try:
                is_deleted = await self._repository.delete(graph_id, now=self._now(), expected=expected)
            finally:
                self._changed(graph_id)
            self._folders.pop(graph_id, None)
            self._derived.forget(graph_id)
        if not is_deleted:
            raise _no_graph(graph_id)

    def starting(self, graph_id: GraphId) -> AbstractAsyncContextManager[None]:
        """Keep a graph from being deleted while an execution of it starts; waits for a deletion that has begun."""
        return self._deletions.starting(graph_id)

    # --- looks ----------------------------------------------------------------------------------------------------

    async def get(self, graph_id: GraphId) -> GraphView:
        """Return the newest version; one that is not valid any more is shown with its problems.

        Raises:
            NotFound: There is no such graph.
        """
        stored = await self._newest(graph_id)
        view = await self._view(stored)
        folder = self._folders.get(graph_id)
        if folder is None or not folder.problems or stored.info.source == FROM_API:
            return view
        return GraphView(view.id, view.version, view.definition, view.warnings, [*view.problems, *folder.problems])

    async def version(self, graph_id: GraphId, version: int) -> GraphView:
        """Return a version of a graph.

        Raises:
            NotFound: There is no such graph, or no such version of it.
        """
        return await self._view(await self._known_version(graph_id, version))

    async def made(self, graph_id: GraphId, version: int) -> GraphView:
        """Return a version as it was made, whatever has become of its graph."""
        return await self._view(await self._named_version(graph_id, version))

    async def versions(self, graph_id: GraphId, *, limit: int, after: str | None) -> VersionPage:
        """Return a page of a graph's versions, newest first.

        Raises:
            NotFound: There is no such graph.
            InvalidCursor: ``after`` is no ``next`` of a page.
        """
        await self._newest(graph_id)
        return await self._repository.versions(graph_id, limit=limit, after=after)

    async def compare(self, graph_id: GraphId, before: int, after: int) -> Difference:
        """Return what one version has that another has not. Raises as ``version``."""
        first, second = await self._known_version(graph_id, before), await self._known_version(graph_id, after)
        texts = first.definition, second.definition
        is_large = sum(map(len, texts)) > LARGE_DEFINITION_BYTES
        return await self._derived.made(is_large, lambda: difference(*(read_json(text) for text in texts)))

    async def definition(self, graph_id: GraphId) -> GraphDefinition:
        """Return the newest definition.

        Raises:
            NotFound: There is no such graph.
            GraphInvalid: It cannot be read any more.
        """
        return await self._derived.definition(await self._newest(graph_id))

    async def list(
        self, *, limit: int, after: str | None, q: str | None = None
    ) -> tuple[Sequence[ListedGraph], str | None]:
        """Return a page of graphs, in the order of their ids, and the cursor of the next one.

        Args:
            limit: How many at most.
            after: ``next`` of the page before.
            q: Occurs in the id, the name or the description.

        Raises:
            InvalidCursor: ``after`` is no ``next`` of a page.
        """
        page = await self._repository.list(limit=limit, after=after, q=q)
        await self._mark(page)
        listed = [
            ListedGraph(info, self._derived.is_valid(_key(info)), self._is_read_only(info)) for info in page.items
        ]
        return listed, page.next

    async def judge(self, value: Any) -> Judged:
        """Say all that can be said about a definition; stores nothing."""
        return await self._links.judged(value, await self._derived.judged(value))

    def node_types(self) -> Sequence[dict[str, Any]]:
        """Return what a definition may name as ``type``."""
        return self._registry.describe()

    # --- for executions -------------------------------------------------------------------------------------------

    async def runnable(
        self, graph_id: GraphId, version: int | None = None, graphs: Mapping[str, int] | None = None
    ) -> Runnable:
        """Return a version ready to be started; None is the newest.

        Args:
            graphs: ``Plan.graphs`` of an execution that has started; None takes the newest that are not deleted.

        Raises:
            NotFound: There is no such graph.
            InvalidInput: There is no such version, or it is not valid any more.
            CodeChanged: It is an old version, and the code that it names is not what it was.
        """
        return await self._links.whole(await self._alone(graph_id, version), graphs)

    async def _alone(self, graph_id: GraphId, version: int | None) -> Runnable:
        latest = await self._newest(graph_id)
        wanted = latest.info.version if version is None else version
        known = self._derived.known((graph_id, wanted))
        if known is not None:
            return known
        return await self._ready(
            latest if wanted == latest.info.version else await self._named_version(graph_id, wanted)
        )

    async def _ready(self, stored: StoredVersion) -> Runnable:
        code, version = self._code_of(stored), stored.info.version
        digest = None if code is None else code.digest
        # Where there is no code, the version is not valid, which says more.
        if stored.info.code_digest is not None and digest and digest != stored.info.code_digest:
            raise CodeChanged(f"the code of version {version} is not what it was", version=version)
        return await self._derived.runnable(stored, code)

    async def replayable(self, graph_id: GraphId, version: int, graphs: Mapping[str, int] | None = None) -> Plan:
        """Return the plan of a stored version for repeating its commits, which calls no code.

        Args:
            graphs: ``Plan.graphs`` of the execution, for repeating what graphs did that it runs; None leaves them out.

        Raises:
            InvalidInput: There is no such version, or it is not valid any more.
        """
        plan = self._derived.known_plan((graph_id, version))
        if plan is not None and graphs is None:
            return plan
        stored = await self._named_version(graph_id, version)
        plan = (await self._repeats(stored)).plan
        return plan if graphs is None else await self._links.replayable(plan, stored, graphs, self._repeats)

    async def _repeats(self, stored: StoredVersion) -> Runnable:
        plan = await self._derived.replayable(stored, self._code_of(stored) or Code())
        return Runnable(plan, frozenset(), (await self._findings(stored)).references)

    # --- parts ----------------------------------------------------------------------------------------------------

    async def _view(self, stored: StoredVersion) -> GraphView:
        found, info = await self._findings(stored), stored.info
        found = await self._links.found(info.graph_id, info.version, found)
        return GraphView(info.graph_id, info.version, stored.definition, found.warnings, found.problems)

    async def _findings(self, stored: StoredVersion) -> Findings:
        return await self._derived.findings(stored, self._code_of(stored))

    async def _find(self, named: Named, graphs: Mapping[str, int] | None) -> StoredVersion | None:
        """See ``Links``."""
        graph_id, version = GraphId(named.graph), named.version
        if version is None and graphs is not None:
            version = graphs.get(named.graph)
        try:
            if version is None:
                return await self._newest(graph_id)
            if graphs is None:
                return await self._known_version(graph_id, version)
        except NotFound:
            return None
        return await self._repository.get_version(graph_id, version)

    async def _mark(self, page: GraphPage) -> None:
        """Find out which graphs of a page are valid, as far as its bound goes; one at least."""
        room = MARKED_BYTES
        unknown: list[tuple[GraphId, int]] = []
        for info in page.items:
            if self._derived.is_valid(_key(info)) is None and (info.size <= room or not unknown):
                unknown.append(_key(info))
                room -= info.size
        if unknown:
            versions = await self._repository.get_versions(unknown)
            await self._derived.mark([(stored, self._code_of(stored)) for stored in versions])

    def _changed(self, graph_id: GraphId) -> None:
        """Forget the newest version. Called when a change is done: a read that overlaps it must not be remembered."""
        self._changes += 1
        self._latest.forget(graph_id)

    async def _put(
        self,
        checked: Checked,
        *,
        source: str,
        code_digest: str | None = None,
        expected: Container[int] | None = None,
        claim: Claim | None = None,
    ) -> Put:
        new = NewVersion(
            checked.id,
            checked.text,
            checked.digest,
            source,
            code_digest=code_digest,
            name=checked.definition.name,
            description=checked.definition.description,
        )
        async with self._deletions.changing(new.graph_id):
            try:
                done = await self._repository.put(new, now=self._now(), expected=expected, claim=claim)
            finally:
                self._changed(new.graph_id)
        self._derived.note((new.graph_id, done.version), checked.findings)
        return done

    async def _newest(self, graph_id: GraphId) -> StoredVersion:
        number = self._numbers.get((graph_id, NEWEST))
        known = None if number is None else self._stored.get((graph_id, number))
        if known is None:
            changes = self._changes
            known = await self._repository.get(graph_id)
            if known is None:
                raise _no_graph(graph_id)
            if changes == self._changes:
                self._stored.keep(_key(known.info), known, 1_000 + len(known.definition))
                self._numbers.keep((graph_id, NEWEST), known.info.version, 1)
        return known

    async def _known_version(self, graph_id: GraphId, version: int) -> StoredVersion:
        """Return a version that an address names; those of a deleted graph are not shown."""
        newest = await self._newest(graph_id)
        if version == newest.info.version:
            return newest
        stored = await self._repository.get_version(graph_id, version) if version < newest.info.version else None
        if stored is None:
            raise NotFound(f"graph {quoted(graph_id)} has no version {version}")
        return stored

    async def _named_version(self, graph_id: GraphId, version: int) -> StoredVersion:
        """Return a version that a body names, or an execution that ran it."""
        stored = await self._repository.get_version(graph_id, version)
        if stored is None:
            detail = f"graph {quoted(graph_id)} has no version {version}"
            raise InvalidInput(detail, [Problem("/version", "unknown_version", detail)])
        return stored

    def _code_of(self, stored: StoredVersion) -> Code | None:
        if stored.info.source == FROM_API:
            return None  # what came as data names no code
        folder = self._folders.get(stored.info.graph_id)
        return Code() if folder is None or folder.code is None else folder.code

    async def _writable(self, graph_id: GraphId) -> StoredVersion | None:
        """Return the newest version, None if there is none, of a graph that may be changed here."""
        stored = await self._repository.get(graph_id)
        if stored is not None and self._is_read_only(stored.info):
            raise GraphReadOnly(f"graph {quoted(graph_id)} comes from a folder and is changed there")
        return stored

    def _is_read_only(self, info: VersionInfo) -> bool:
        """Say whether a file has this graph. One whose file, or folder in the settings, is gone may be changed."""
        folder = self._folders.get(info.graph_id)
        return info.source != FROM_API and folder is not None and not folder.is_gone

    def _expect(self, stored: StoredVersion | None, expected: Container[int] | None) -> None:
        """Refuse a change early that would be refused in the end, where it is decided."""
        if stored is not None and expected is None:
            raise _required(stored.info.version)
        expect(0 if stored is None else stored.info.version, expected)

    def _now(self) -> datetime:
        return utc(self._clock.wall_ns())


def _key(info: VersionInfo) -> tuple[GraphId, int]:
    return info.graph_id, info.version


def _no_graph(graph_id: GraphId) -> NotFound:
    return NotFound(f"there is no graph {quoted(graph_id)}")


def _required(current: object) -> PreconditionRequired:
    detail = f"the graph is at version {current}; say with If-Match which version is to be replaced"
    return PreconditionRequired(detail, current=current)
