"""The tables. Times are whole microseconds since the Unix epoch, documents are JSON."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
)

from app.storage.text import AnyText

metadata = MetaData()

graphs = Table(
    "graphs",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("source", AnyText, nullable=False),
    Column("latest_version", BigInteger, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("updated_at_us", BigInteger, nullable=False),
    # A deleted graph keeps its row and versions: its executions still show what ran, and no version number
    # is ever given to two definitions.
    Column("deleted_at_us", BigInteger),
    # Id, name and description of the latest version, folded: databases differ in what they take for the same letter.
    Column("search_text", AnyText, nullable=False),
)

graph_versions = Table(
    "graph_versions",
    metadata,
    Column("graph_id", AnyText, ForeignKey("graphs.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("digest", AnyText, nullable=False),
    Column("code_digest", AnyText),
    Column("name", AnyText),
    Column("description", AnyText),
    Column("created_at_us", BigInteger, nullable=False),
    Column("definition", LargeBinary, nullable=False),
)

executions = Table(
    "executions",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("graph_id", AnyText, nullable=False),
    Column("graph_version", BigInteger, nullable=False),
    # "graphwire", or "foreign" for one that runs elsewhere.
    Column("engine", AnyText, nullable=False),
    Column("status", AnyText, nullable=False),
    # 1 while it is paused and a node waits for input.
    Column("waiting", BigInteger),
    Column("outcome", AnyText),
    Column("seed", BigInteger, nullable=False),
    Column("correlation_id", AnyText),
    Column("started_at_us", BigInteger, nullable=False),
    Column("ended_at_us", BigInteger),
    # From then on there is no such execution; its events and its row are taken away a little at a time.
    Column("deleted_at_us", BigInteger),
    Column("duration_ms", Float),
    Column("steps", BigInteger),
    Column("last_seq", BigInteger),
    Column("reason", AnyText),
    Column("damage", AnyText),
    Column("error", AnyText),
    # The execution that it was forked from, which may be deleted since, and the commit there.
    Column("forked_from", AnyText),
    Column("forked_at", BigInteger),
    # The versions of graphs that it runs beside its own, as ",prices@3,orders@1,".
    Column("runs", AnyText),
    # Large columns last: SQLite then reads the others without following overflow pages.
    Column("errors", LargeBinary),
    Column("options", LargeBinary, nullable=False),
    Column("state", LargeBinary),
    Index("executions_by_start", "started_at_us", "id"),
    Index("executions_by_graph", "graph_id", "started_at_us", "id"),
    Index("executions_by_status", "status", "started_at_us", "id"),
)
Index(
    "executions_by_origin",
    executions.c.forked_from,
    executions.c.started_at_us,
    executions.c.id,
    sqlite_where=executions.c.forked_from.is_not(None),
    postgresql_where=executions.c.forked_from.is_not(None),
)
Index(
    "executions_deleted",
    executions.c.deleted_at_us,
    executions.c.id,
    sqlite_where=executions.c.deleted_at_us.is_not(None),
    postgresql_where=executions.c.deleted_at_us.is_not(None),
)

event_chunks = Table(
    "event_chunks",
    metadata,
    Column("execution_id", AnyText, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("format", Integer, nullable=False),
    Column("events_checksum", BigInteger, nullable=False),
    Column("deltas_checksum", BigInteger),
    Column("events", LargeBinary, nullable=False),
    Column("deltas", LargeBinary),
)

large_events = Table(
    "large_events",
    metadata,
    Column("execution_id", AnyText, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)

# The producer's own name of each event that an engine elsewhere reported: what is known is not taken again.
reported_events = Table(
    "reported_events",
    metadata,
    Column("execution_id", AnyText, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("producer_id", AnyText, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

node_durations = Table(
    "node_durations",
    metadata,
    Column("graph_id", AnyText, primary_key=True),
    Column("graph_version", BigInteger, primary_key=True),
    Column("node_id", AnyText, primary_key=True),
    Column("attempts", BigInteger, nullable=False),
    Column("total_ms", Float, nullable=False),
)

# What was made under a caller's key: an execution or a command's event, or a version of a graph. No foreign keys: a
# key stays taken when what it made is deleted, so that a repetition never makes it again.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", AnyText, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("execution_id", AnyText),
    Column("seq", BigInteger),
    Column("graph_id", AnyText),
    Column("graph_version", BigInteger),
    Column("created_at_us", BigInteger, nullable=False),
    Column("over_at_us", BigInteger, nullable=False),
    Index("idempotency_keys_by_end", "over_at_us"),
)

# What happened to the service as a whole, each event written in the transaction of what it tells. Numbered one by one
# from the newest, which is never deleted.
service_events = Table(
    "service_events",
    metadata,
    # In SQLite "INTEGER" is what makes it the row's own number.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("topic", AnyText, nullable=False),
    Column("execution_id", AnyText),
    Column("graph_id", AnyText),
    Column("correlation_id", AnyText),
    Column("at_us", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

# Written and emptied to find out whether the database takes writes again.
write_probe = Table(
    "write_probe",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)
