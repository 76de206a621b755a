"""One transaction for a group of batches on PostgreSQL: a statement for each table, with all its rows as arrays."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from app.storage.groups import TAKEN, UNKNOWN, GroupRejected
from app.storage.postgresql import Connection, is_cut
from app.storage.rows import rows_of
from app.storage.text import escaped
from graphwire.engine.ports import Batch
from graphwire.types import ExecutionId

COMMAND_S = 30.0

_INSERT_STARTS = """
INSERT INTO executions (id, graph_id, graph_version, status, seed, correlation_id, started_at_us, options, engine,
    forked_from, forked_at, runs)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
    $8::bytea[], $9::text[], $10::text[], $11::bigint[], $12::text[])
"""
# Whoever ended an execution, another server perhaps, nothing is added to it: without a row, NULL breaks the key.
_INSERT_CHUNKS = """
INSERT INTO event_chunks (execution_id, first_seq, last_seq, format, events_checksum, deltas_checksum, events, deltas)
SELECT e.id, v.first_seq, v.last_seq, v.format, v.events_checksum, v.deltas_checksum, v.events, v.deltas
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::int[], $5::bigint[], $6::bigint[], $7::bytea[], $8::bytea[])
    AS v (id, first_seq, last_seq, format, events_checksum, deltas_checksum, events, deltas)
LEFT JOIN executions AS e ON e.id = v.id AND e.ended_at_us IS NULL
"""
_INSERT_LARGE = """
INSERT INTO large_events (execution_id, seq, body) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[])
"""
_INSERT_REPORTED = """
INSERT INTO reported_events (execution_id, producer_id, seq)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
"""
_UPDATE_ENDS = """
UPDATE executions SET status = v.status, outcome = v.outcome, ended_at_us = v.ended_at_us,
    duration_ms = v.duration_ms, steps = v.steps, last_seq = v.last_seq, reason = v.reason, error = v.error,
    errors = v.errors, state = v.state
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::float[], $6::bigint[], $7::bigint[], $8::text[],
    $9::text[], $10::bytea[], $11::bytea[])
    AS v (id, status, outcome, ended_at_us, duration_ms, steps, last_seq, reason, error, errors, state)
WHERE executions.id = v.id AND executions.ended_at_us IS NULL
"""
_UPDATE_TURNS = """
UPDATE executions SET status = v.status, waiting = v.waiting
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS v (id, status, waiting)
WHERE executions.id = v.id AND executions.ended_at_us IS NULL
"""
# Added up first: one statement may change a row only once.
_ADD_DURATIONS = """
INSERT INTO node_durations AS d (graph_id, graph_version, node_id, attempts, total_ms)
SELECT e.graph_id, e.graph_version, v.node_id, sum(v.attempts), sum(v.total_ms)
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::float[]) AS v (id, node_id, attempts, total_ms)
JOIN executions AS e ON e.id = v.id GROUP BY e.graph_id, e.graph_version, v.node_id
ON CONFLICT (graph_id, graph_version, node_id)
DO UPDATE SET attempts = d.attempts + excluded.attempts, total_ms = d.total_ms + excluded.total_ms
"""
# Nobody else writes: the newest number stays what it is until the commit.
_INSERT_TOLD = """
INSERT INTO service_events (seq, topic, execution_id, graph_id, correlation_id, at_us, data)
SELECT (SELECT coalesce(max(seq), 0) FROM service_events) + v.place, v.topic, e.id, e.graph_id, e.correlation_id,
    v.at_us, v.data
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[]) WITH ORDINALITY
    AS v (topic, execution_id, at_us, data, place)
JOIN executions AS e ON e.id = v.execution_id
"""
# A key whose claim is over is taken over; one that is taken stays, and the statement then writes a row less.
_INSERT_CLAIMS = """
INSERT INTO idempotency_keys AS k (key, fingerprint, execution_id, seq, created_at_us, over_at_us)
SELECT DISTINCT ON (key) key, fingerprint, execution_id, seq, created_at_us, over_at_us
FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[]) WITH ORDINALITY
    AS v (key, fingerprint, execution_id, seq, created_at_us, over_at_us, place)
ORDER BY key, place
ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, execution_id = excluded.execution_id,
    seq = excluded.seq, graph_id = NULL, graph_version = NULL, created_at_us = excluded.created_at_us,
    over_at_us = excluded.over_at_us WHERE k.over_at_us <= excluded.created_at_us
"""
_HAS_CHUNK = "SELECT 1 FROM event_chunks WHERE execution_id = $1 AND first_seq = $2"
_HAS_STARTED = "SELECT 1 FROM executions WHERE id = $1"
_IS_RUNNING = "SELECT 1 FROM executions WHERE id = $1 AND ended_at_us IS NULL"
_HAS_ENDED = "SELECT 1 FROM executions WHERE id = $1 AND ended_at_us IS NOT NULL"


class OutcomeUnknown(Exception):
    """The connection was lost during the commit: the group is stored, or it is not."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Statement(NamedTuple):
    """What writes so many rows. ``otherwise`` is wrong where it writes fewer; None where it may."""

    text: str
    columns: Sequence[Sequence[Any]]
    rows: int = 0
    otherwise: str | None = None


async def write_group(connection: Connection, batches: Iterable[Batch]) -> None:
    """Store all of the batches, or nothing, forced to disk.

    Raises:
        OutcomeUnknown: It may be stored.
        Exception: Nothing is stored.
    """
    statements = _statements(batches)
    if len(statements) == 1 and statements[0].otherwise is None:
        await _commit(connection, statements[0])  # alone it is its own transaction, without BEGIN and COMMIT
        return
    await connection.execute("BEGIN", timeout=COMMAND_S)
    try:
        for statement in statements:
            done = await connection.execute(statement.text, *statement.columns, timeout=COMMAND_S)
            if statement.otherwise is not None and int(done.rpartition(" ")[2]) != statement.rows:
                raise GroupRejected(statement.otherwise)
    except Exception as error:
        if not is_cut(error):
            await connection.execute("ROLLBACK", timeout=COMMAND_S)
        raise
    await _commit(connection, _Statement("COMMIT", ()))


async def probe(connection: Connection) -> None:
    """Find out whether a write of moderate size would be stored now.

    Raises:
        Exception: It would not.
    """
    body = bytes(65_536)
    await connection.execute(
        "INSERT INTO write_probe (id, body) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
        body,
        timeout=COMMAND_S,
    )
    await connection.execute("DELETE FROM write_probe", timeout=COMMAND_S)


async def is_stored(connection: Connection, batches: Sequence[Batch]) -> bool:
    """Say whether a group, which was written in one transaction, is stored. An empty one is."""
    for batch in batches:
        id = escaped(batch.execution_id)
        if batch.events:
            found = await connection.fetchval(_HAS_CHUNK, id, batch.events[0].seq, timeout=COMMAND_S)
        elif batch.start is not None:
            found = await connection.fetchval(_HAS_STARTED, id, timeout=COMMAND_S)
        elif batch.end is not None:
            found = await connection.fetchval(_HAS_ENDED, id, timeout=COMMAND_S)
        else:
            continue
        return found is not None
    return True


class Overtaken(Exception):
    """Another server has taken the execution up: its events have higher numbers than those that are to be stored."""


async def require_newest(connection: Connection, group: Sequence[Batch]) -> None:
    """Check that nobody else has stored events of these executions.

    Raises:
        Overtaken: Somebody has: whoever takes an execution up leaves out numbers that were told and not stored.
    """
    first = {batch.execution_id: batch.events[0].seq for batch in group if batch.start is None and batch.events}
    if not first:
        return
    rows = await connection.fetch(
        "SELECT execution_id, max(last_seq) FROM event_chunks WHERE execution_id = ANY($1::text[]) GROUP BY 1",
        list(first),
    )
    for execution_id, last_seq in rows:
        if last_seq >= first[execution_id]:
            raise Overtaken(f"another server goes on with execution {execution_id}")


async def is_running(connection: Connection, execution_id: ExecutionId) -> bool:
    """Say whether an execution has started and not ended, for the database."""
    return await connection.fetchval(_IS_RUNNING, escaped(execution_id), timeout=COMMAND_S) is not None


async def _commit(connection: Connection, statement: _Statement) -> None:
    try:
        await connection.execute(statement.text, *statement.columns, timeout=COMMAND_S)
    except Exception as error:
        if is_cut(error):
            raise OutcomeUnknown(error) from error
        raise


def _statements(batches: Iterable[Batch]) -> list[_Statement]:
    rows = rows_of(batches)
    statements = (
        _Statement(_INSERT_STARTS, _columns(rows.starts)),
        _Statement(_INSERT_CHUNKS, _columns(rows.chunks)),
        _Statement(_INSERT_LARGE, _columns(rows.large)),
        _Statement(_INSERT_REPORTED, _columns(rows.reported)),
        _Statement(_UPDATE_TURNS, _columns(rows.turns), len(rows.turns), UNKNOWN),
        _Statement(_UPDATE_ENDS, _columns(rows.ends), len(rows.ends), UNKNOWN),
        _Statement(_INSERT_TOLD, _columns(rows.told), len(rows.told), UNKNOWN),
        _Statement(_ADD_DURATIONS, _columns(rows.durations)),
        _Statement(_INSERT_CLAIMS, _columns(rows.claims_of_starts), len(rows.claims_of_starts), TAKEN),
        _Statement(_INSERT_CLAIMS, _columns(rows.claims)),
    )
    return [statement for statement in statements if statement.columns]


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[Sequence[Any]]:
    return [[escaped(value) for value in column] if _is_text(column) else column for column in zip(*rows, strict=True)]


def _is_text(column: Sequence[Any]) -> bool:
    return any(isinstance(value, str) for value in column)
