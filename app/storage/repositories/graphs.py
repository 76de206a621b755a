"""Graphs and their versions."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Select, and_, func, insert, select, tuple_, update

from app.storage.cursors import Cursor, decode_cursor, encode_cursor
from app.storage.database import Database
from app.storage.errors import RevisionConflict
from app.storage.moments import microseconds, moment_of
from app.storage.repositories.idempotency import MadeVersion, keep_claim
from app.storage.repositories.service_events import Told, tell
from app.storage.tables import executions, graph_versions, graphs
from app.storage.text import AnyText
from graphwire.engine.ports import Claim
from graphwire.errors import GraphInUse
from graphwire.events.service_types import GraphCreated, GraphDeleted, GraphUpdated
from graphwire.near_names import folded
from graphwire.types import GraphId

FROM_API: Final = "api"
"""The source of a graph that came from no file."""
LISTED_TEXT = 1_024
"""Characters of a description beside its definition, so that a list of a thousand graphs stays small."""


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A definition to be stored.

    Attributes:
        definition: The canonical JSON.
        digest: Of the definition.
        code_digest: Of the module that its code is in; None without code.
        source: ``FROM_API``, or the file that it was read from.
    """

    graph_id: GraphId
    definition: bytes
    digest: str
    source: str
    code_digest: str | None = None
    name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """A stored version without its definition.

    Attributes:
        description: Cut where it is long.
        source: That of the graph now.
    """

    graph_id: GraphId
    version: int
    digest: str
    code_digest: str | None
    name: str | None
    description: str | None
    source: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A stored version with its definition as canonical JSON."""

    info: VersionInfo
    definition: bytes


@dataclass(frozen=True, slots=True)
class GraphInfo(VersionInfo):
    """A graph in a list: its latest version.

    Attributes:
        made_at: When the graph was stored first; ``updated_at``: when its latest version was.
        size: Bytes of the definition.
    """

    made_at: datetime
    updated_at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class Put:
    """What storing a definition did. ``is_new`` where it made the graph, ``is_changed`` where it made a version."""

    version: int
    is_new: bool
    is_changed: bool


@dataclass(frozen=True, slots=True)
class GraphPage:
    """Graphs in the order of their ids; ``next`` is None on the last page."""

    items: Sequence[GraphInfo]
    next: str | None


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Versions of a graph, newest first; ``next`` is None on the last page."""

    items: Sequence[VersionInfo]
    next: str | None


class GraphRepository:
    """Every query about graphs. A call is a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, new: NewVersion, *, now: datetime, expected: Container[int] | None = None, claim: Claim | None = None
    ) -> Put:
        """Store a definition as a new version, unless it and its code are those of the latest one.

        Args:
            new: The definition.
            now: When.
            expected: What the latest version may be, 0 where there may be no such graph; None where it does not matter.
            claim: Stored with the version that is made; not where none is.

        Raises:
            RevisionConflict: The latest version is another one, in ``current`` (0: there is no such graph).
            StorageUnavailable: Not now; nothing was changed.
        """
        moment = microseconds(now)
        async with self._database.write() as connection:
            row = (await connection.execute(_known(new.graph_id))).one_or_none()
            lives = row is not None and row.deleted_at_us is None
            current = row.latest_version if row is not None and lives else 0
            expect(current, expected)
            if row is not None and lives and (row.digest, row.code_digest) == (new.digest, new.code_digest):
                if row.source != new.source:
                    await connection.execute(
                        update(graphs).where(graphs.c.id == new.graph_id).values(source=new.source)
                    )
                return Put(current, is_new=False, is_changed=False)
            version = 1 if row is None else row.latest_version + 1
            values = {
                "source": new.source,
                "latest_version": version,
                "updated_at_us": moment,
                "deleted_at_us": None,
                "search_text": _search_text(new),
                **({} if lives else {"created_at_us": moment}),
            }
            if row is None:
                await connection.execute(insert(graphs).values(id=new.graph_id, **values))
            else:
                await connection.execute(update(graphs).where(graphs.c.id == new.graph_id).values(**values))
            await connection.execute(insert(graph_versions).values(_version_row(new, version, moment)))
            if claim is not None:
                await keep_claim(connection, claim, MadeVersion(new.graph_id, version))
            kind = GraphUpdated if lives else GraphCreated
            source: Literal["api", "folder"] = "api" if new.source == FROM_API else "folder"
            await tell(connection, [Told(kind(version=version, source=source), now, new.graph_id)])
        return Put(version, is_new=not lives, is_changed=True)

    async def get(self, graph_id: GraphId) -> StoredVersion | None:
        """Return the latest version of a graph; None if there is none, or it was deleted."""
        async with self._database.read() as connection:
            row = (await connection.execute(_latest(graph_id))).one_or_none()
        return None if row is None else StoredVersion(_info(row), row.definition)

    async def get_version(self, graph_id: GraphId, version: int) -> StoredVersion | None:
        """Return a version. Those of a deleted graph are still there, for the executions that ran them."""
        query = _versions().add_columns(graph_versions.c.definition)
        query = query.where(graph_versions.c.graph_id == graph_id, graph_versions.c.version == version)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else StoredVersion(_info(row), row.definition)

    async def get_versions(self, keys: Sequence[tuple[GraphId, int]]) -> Sequence[StoredVersion]:
        """Return those of these versions that there are, as ``get_version`` does."""
        query = _versions().add_columns(graph_versions.c.definition)
        query = query.where(tuple_(graph_versions.c.graph_id, graph_versions.c.version).in_(keys))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [StoredVersion(_info(row), row.definition) for row in rows]

    async def sources(self) -> Sequence[tuple[GraphId, str]]:
        """Return the source of each graph that is not deleted."""
        query = select(graphs.c.id, graphs.c.source).where(graphs.c.deleted_at_us.is_(None))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [(GraphId(row.id), row.source) for row in rows]

    async def list(self, *, limit: int = 100, after: str | None = None, q: str | None = None) -> GraphPage:
        """Return a page of the graphs that are not deleted.

        Args:
            limit: How many at most.
            after: ``next`` of the page before.
            q: Occurs in the id, the name or the description, as ``folded`` compares texts.

        Raises:
            InvalidCursor: ``after`` is not the ``next`` of a page.
        """
        query = _versions().add_columns(
            graphs.c.created_at_us.label("made_at_us"),
            graphs.c.updated_at_us,
            func.length(graph_versions.c.definition).label("size"),
        )
        query = query.where(graph_versions.c.version == graphs.c.latest_version, graphs.c.deleted_at_us.is_(None))
        if after is not None:
            query = query.where(graphs.c.id > decode_cursor(after, order="id").id)
        if q is not None:
            query = query.where(graphs.c.search_text.contains(folded(q), autoescape=True))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(graphs.c.id).limit(limit + 1))).all()
        following = encode_cursor(Cursor("id", 0, rows[limit - 1].graph_id)) if len(rows) > limit else None
        return GraphPage([_graph_info(row) for row in rows[:limit]], following)

    async def versions(self, graph_id: GraphId, *, limit: int = 100, after: str | None = None) -> VersionPage:
        """Return a page of a graph's versions, newest first; empty for one that is unknown or deleted.

        Raises:
            InvalidCursor: ``after`` is not the ``next`` of a page.
        """
        query = _versions()
        query = query.where(graphs.c.id == graph_id, graphs.c.deleted_at_us.is_(None))
        if after is not None:
            query = query.where(graph_versions.c.version < int(decode_cursor(after, order="version").value))
        query = query.order_by(graph_versions.c.version.desc()).limit(limit + 1)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        last = rows[limit - 1] if len(rows) > limit else None
        following = None if last is None else encode_cursor(Cursor("version", last.version, graph_id))
        return VersionPage([_info(row) for row in rows[:limit]], following)

    async def delete(self, graph_id: GraphId, *, now: datetime, expected: Container[int] | None = None) -> bool:
        """Delete a graph; its executions and the versions that they ran stay. False if there is none.

        Args:
            graph_id: Which.
            now: When.
            expected: What the latest version may be; None where it does not matter.

        Raises:
            GraphInUse: Executions of it have not ended; with their count.
            RevisionConflict: The latest version is another one, in ``current``.
        """
        async with self._database.write() as connection:
            row = (await connection.execute(_latest(graph_id))).one_or_none()
            if row is None:
                return False
            expect(row.version, expected)
            running = select(func.count()).where(executions.c.graph_id == graph_id, executions.c.ended_at_us.is_(None))
            if count := (await connection.execute(running)).scalar_one():
                raise GraphInUse("An execution of this graph has not ended.", executions=count)
            deleted = update(graphs).where(graphs.c.id == graph_id).values(deleted_at_us=microseconds(now))
            await connection.execute(deleted)
            await tell(connection, [Told(GraphDeleted(version=row.version), now, graph_id)])
        return True


def expect(current: int, expected: Container[int] | None) -> None:
    """Check that a graph is at an expected version; 0 stands for no graph.

    Raises:
        RevisionConflict: It is not, with ``current``.
    """
    if expected is None or current in expected:
        return
    stands = f"the graph is at version {current}" if current else "there is no such graph"
    raise RevisionConflict(f"{stands}, which is not what the change was made for", current=current)


def _versions() -> Select[Any]:
    return select(
        graph_versions.c.graph_id,
        graph_versions.c.version,
        graph_versions.c.digest,
        graph_versions.c.code_digest,
        graph_versions.c.name,
        func.substr(graph_versions.c.description, 1, LISTED_TEXT + 1, type_=AnyText()).label("description"),
        graph_versions.c.created_at_us,
        graphs.c.source,
        graphs.c.deleted_at_us,
    ).join(graphs, graphs.c.id == graph_versions.c.graph_id)


def _latest(graph_id: GraphId) -> Select[Any]:
    query = _versions().add_columns(graph_versions.c.definition)
    query = query.where(graphs.c.id == graph_id, graph_versions.c.version == graphs.c.latest_version)
    return query.where(graphs.c.deleted_at_us.is_(None))


def _known(graph_id: GraphId) -> Select[Any]:
    """Ask for a graph, deleted or not. The versions of a deleted one may be gone; their numbers stay used."""
    is_latest = and_(graph_versions.c.graph_id == graphs.c.id, graph_versions.c.version == graphs.c.latest_version)
    query = select(graphs, graph_versions.c.digest, graph_versions.c.code_digest)
    return query.outerjoin(graph_versions, is_latest).where(graphs.c.id == graph_id)


def _version_row(new: NewVersion, version: int, moment: int) -> dict[str, object]:
    return {
        "graph_id": new.graph_id,
        "version": version,
        "digest": new.digest,
        "code_digest": new.code_digest,
        "name": new.name,
        "description": new.description,
        "created_at_us": moment,
        "definition": new.definition,
    }


def _search_text(new: NewVersion) -> str:
    return "\n".join(folded(text) for text in (new.graph_id, new.name, new.description) if text)


def _info(row: Any) -> VersionInfo:
    return VersionInfo(**_members(row))


def _graph_info(row: Any) -> GraphInfo:
    return GraphInfo(
        **_members(row), made_at=moment_of(row.made_at_us), updated_at=moment_of(row.updated_at_us), size=row.size
    )


def _members(row: Any) -> dict[str, Any]:
    return {
        "graph_id": GraphId(row.graph_id),
        "version": row.version,
        "digest": row.digest,
        "code_digest": row.code_digest,
        "name": row.name,
        "description": _cut(row.description),
        "source": row.source,
        "created_at": moment_of(row.created_at_us),
    }


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= LISTED_TEXT else text[:LISTED_TEXT] + "…"
