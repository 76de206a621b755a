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
    Text,
)

metadata = MetaData()

graphs = Table(
    "graphs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("latest_version", Integer, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("updated_at_us", BigInteger, nullable=False),
    # A deleted graph keeps its row and versions: its executions still show what ran, and no version number
    # is ever given to two definitions.
    Column("deleted_at_us", BigInteger),
    # Id, name and description of the latest version, folded: databases differ in what they take for the same letter.
    Column("search_text", Text, nullable=False),
)

graph_versions = Table(
    "graph_versions",
    metadata,
    Column("graph_id", Text, ForeignKey("graphs.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("code_digest", Text),
    Column("name", Text),
    Column("description", Text),
    Column("created_at_us", BigInteger, nullable=False),
    Column("definition", LargeBinary, nullable=False),
)

executions = Table(
    "executions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("graph_id", Text, nullable=False),
    Column("graph_version", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("outcome", Text),
    Column("seed", BigInteger, nullable=False),
    Column("correlation_id", Text),
    Column("started_at_us", BigInteger, nullable=False),
    Column("ended_at_us", BigInteger),
    Column("duration_ms", Float),
    Column("steps", Integer),
    Column("last_seq", BigInteger),
    Column("reason", Text),
    Column("damage", Text),
    Column("error", Text),
    # Large columns last: SQLite then reads the others without following overflow pages.
    Column("errors", LargeBinary),
    Column("options", LargeBinary, nullable=False),
    Column("state", LargeBinary),
    Index("executions_by_start", "started_at_us", "id"),
    Index("executions_by_graph", "graph_id", "started_at_us", "id"),
    Index("executions_by_status", "status", "started_at_us", "id"),
)

event_chunks = Table(
    "event_chunks",
    metadata,
    Column("execution_id", Text, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
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
    Column("execution_id", Text, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)

node_durations = Table(
    "node_durations",
    metadata,
    Column("graph_id", Text, primary_key=True),
    Column("graph_version", Integer, primary_key=True),
    Column("node_id", Text, primary_key=True),
    Column("attempts", BigInteger, nullable=False),
    Column("total_ms", Float, nullable=False),
)

# What was made under a caller's key: an execution or a command's event, or a version of a graph. No foreign keys: a
# key stays taken when what it made is deleted, so that a repetition never makes it again.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("execution_id", Text),
    Column("seq", BigInteger),
    Column("graph_id", Text),
    Column("graph_version", Integer),
    Column("created_at_us", BigInteger, nullable=False),
    Column("over_at_us", BigInteger, nullable=False),
    Index("idempotency_keys_by_end", "over_at_us"),
)

# Written and emptied to find out whether the database takes writes again.
write_probe = Table(
    "write_probe",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)
