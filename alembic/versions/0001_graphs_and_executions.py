"""Graphs with their versions, executions with their events, the events of the service."""

import sqlalchemy as sa

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Compared by the numbers of its characters on every database.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    _graphs()
    _executions()
    _history()
    _idempotency()
    _service()
    op.create_table(
        "write_probe",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def _graphs() -> None:
    op.create_table(
        "graphs",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("latest_version", sa.BigInteger, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger),
        sa.Column("search_text", TEXT, nullable=False),
    )
    op.create_table(
        "graph_versions",
        sa.Column("graph_id", TEXT, sa.ForeignKey("graphs.id"), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("code_digest", TEXT),
        sa.Column("name", TEXT),
        sa.Column("description", TEXT),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("definition", sa.LargeBinary, nullable=False),
    )


def _executions() -> None:
    op.create_table(
        "executions",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("graph_id", TEXT, nullable=False),
        sa.Column("graph_version", sa.BigInteger, nullable=False),
        sa.Column("engine", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("waiting", sa.BigInteger),
        sa.Column("outcome", TEXT),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("correlation_id", TEXT),
        sa.Column("started_at_us", sa.BigInteger, nullable=False),
        sa.Column("ended_at_us", sa.BigInteger),
        sa.Column("deleted_at_us", sa.BigInteger),
        sa.Column("duration_ms", sa.Float),
        sa.Column("steps", sa.BigInteger),
        sa.Column("last_seq", sa.BigInteger),
        sa.Column("reason", TEXT),
        sa.Column("damage", TEXT),
        sa.Column("error", TEXT),
        sa.Column("forked_from", TEXT),
        sa.Column("forked_at", sa.BigInteger),
        sa.Column("runs", TEXT),
        sa.Column("errors", sa.LargeBinary),
        sa.Column("options", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.LargeBinary),
    )
    op.create_index("executions_by_start", "executions", ["started_at_us", "id"])
    op.create_index("executions_by_graph", "executions", ["graph_id", "started_at_us", "id"])
    op.create_index("executions_by_status", "executions", ["status", "started_at_us", "id"])
    is_forked = sa.text("forked_from IS NOT NULL")
    op.create_index(
        "executions_by_origin",
        "executions",
        ["forked_from", "started_at_us", "id"],
        sqlite_where=is_forked,
        postgresql_where=is_forked,
    )
    is_deleted = sa.text("deleted_at_us IS NOT NULL")
    op.create_index(
        "executions_deleted",
        "executions",
        ["deleted_at_us", "id"],
        sqlite_where=is_deleted,
        postgresql_where=is_deleted,
    )


def _history() -> None:
    op.create_table(
        "event_chunks",
        sa.Column("execution_id", TEXT, sa.ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("first_seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("format", sa.Integer, nullable=False),
        sa.Column("events_checksum", sa.BigInteger, nullable=False),
        sa.Column("deltas_checksum", sa.BigInteger),
        sa.Column("events", sa.LargeBinary, nullable=False),
        sa.Column("deltas", sa.LargeBinary),
    )
    op.create_table(
        "large_events",
        sa.Column("execution_id", TEXT, sa.ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "reported_events",
        sa.Column("execution_id", TEXT, sa.ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("producer_id", TEXT, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "node_durations",
        sa.Column("graph_id", TEXT, primary_key=True),
        sa.Column("graph_version", sa.BigInteger, primary_key=True),
        sa.Column("node_id", TEXT, primary_key=True),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("total_ms", sa.Float, nullable=False),
    )


def _idempotency() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("key", TEXT, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("execution_id", TEXT),
        sa.Column("seq", sa.BigInteger),
        sa.Column("graph_id", TEXT),
        sa.Column("graph_version", sa.BigInteger),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("over_at_us", sa.BigInteger, nullable=False),
    )
    op.create_index("idempotency_keys_by_end", "idempotency_keys", ["over_at_us"])


def _service() -> None:
    op.create_table(
        "service_events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("topic", TEXT, nullable=False),
        sa.Column("execution_id", TEXT),
        sa.Column("graph_id", TEXT),
        sa.Column("correlation_id", TEXT),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
