"""Graphs with their versions, executions with their events."""

import sqlalchemy as sa

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _graphs()
    _executions()
    _history()
    _idempotency()
    op.create_table(
        "write_probe",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def _graphs() -> None:
    op.create_table(
        "graphs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("latest_version", sa.Integer, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger),
        sa.Column("search_text", sa.Text, nullable=False),
    )
    op.create_table(
        "graph_versions",
        sa.Column("graph_id", sa.Text, sa.ForeignKey("graphs.id"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("code_digest", sa.Text),
        sa.Column("name", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("definition", sa.LargeBinary, nullable=False),
    )


def _executions() -> None:
    op.create_table(
        "executions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("graph_id", sa.Text, nullable=False),
        sa.Column("graph_version", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("correlation_id", sa.Text),
        sa.Column("started_at_us", sa.BigInteger, nullable=False),
        sa.Column("ended_at_us", sa.BigInteger),
        sa.Column("duration_ms", sa.Float),
        sa.Column("steps", sa.Integer),
        sa.Column("last_seq", sa.BigInteger),
        sa.Column("reason", sa.Text),
        sa.Column("damage", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("errors", sa.LargeBinary),
        sa.Column("options", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.LargeBinary),
    )
    op.create_index("executions_by_start", "executions", ["started_at_us", "id"])
    op.create_index("executions_by_graph", "executions", ["graph_id", "started_at_us", "id"])
    op.create_index("executions_by_status", "executions", ["status", "started_at_us", "id"])


def _history() -> None:
    op.create_table(
        "event_chunks",
        sa.Column("execution_id", sa.Text, sa.ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
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
        sa.Column("execution_id", sa.Text, sa.ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "node_durations",
        sa.Column("graph_id", sa.Text, primary_key=True),
        sa.Column("graph_version", sa.Integer, primary_key=True),
        sa.Column("node_id", sa.Text, primary_key=True),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("total_ms", sa.Float, nullable=False),
    )


def _idempotency() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("execution_id", sa.Text),
        sa.Column("seq", sa.BigInteger),
        sa.Column("graph_id", sa.Text),
        sa.Column("graph_version", sa.Integer),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("over_at_us", sa.BigInteger, nullable=False),
    )
    op.create_index("idempotency_keys_by_end", "idempotency_keys", ["over_at_us"])
