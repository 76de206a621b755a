"""One transaction for a group of batches, in as few statements as there are tables to write.

Each step of a statement gives the interpreter's lock away, and a busy loop takes long to give it back: 100 rows in
one statement cost one such exchange, 100 statements cost 100.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from app.storage.groups import TAKEN, UNKNOWN, GroupRejected
from app.storage.rows import Row, rows_of
from graphwire.engine.ports import Batch

MAX_VARIABLES = 30_000

_INSERT_STARTS = (
    "INSERT INTO executions (id, graph_id, graph_version, status, seed, correlation_id, started_at_us, options, engine,"
    " forked_from, forked_at, runs) VALUES "
)
_INSERT_CHUNKS = (
    "INSERT INTO event_chunks"
    " (execution_id, first_seq, last_seq, format, events_checksum, deltas_checksum, events, deltas) VALUES "
)
_INSERT_LARGE = "INSERT INTO large_events (execution_id, seq, body) VALUES "
_INSERT_REPORTED = "INSERT INTO reported_events (execution_id, producer_id, seq) VALUES "
_UPDATE_ENDS = (
    "UPDATE executions SET status = v.column2, outcome = v.column3, ended_at_us = v.column4, duration_ms = v.column5,"
    " steps = v.column6, last_seq = v.column7, reason = v.column8, error = v.column9, errors = v.column10,"
    " state = v.column11 FROM (VALUES "
)
_UPDATE_ENDS_WHERE = ") AS v WHERE executions.id = v.column1 AND executions.ended_at_us IS NULL"
_UPDATE_TURNS = "UPDATE executions SET status = v.column2, waiting = v.column3 FROM (VALUES "
_ADD_DURATIONS = (
    "INSERT INTO node_durations (graph_id, graph_version, node_id, attempts, total_ms)"
    " SELECT e.graph_id, e.graph_version, v.column2, v.column3, v.column4 FROM (VALUES "
)
_ADD_DURATIONS_ON = (
    ") AS v CROSS JOIN executions AS e WHERE e.id = v.column1 ON CONFLICT (graph_id, graph_version, node_id)"
    " DO UPDATE SET attempts = attempts + excluded.attempts, total_ms = total_ms + excluded.total_ms"
)
# Numbered by SQLite: one more than the newest, in the order of the values.
_INSERT_TOLD = (
    "INSERT INTO service_events (topic, execution_id, graph_id, correlation_id, at_us, data)"
    " SELECT v.column1, v.column2, e.graph_id, e.correlation_id, v.column3, v.column4 FROM (VALUES "
)
_INSERT_TOLD_FROM = ") AS v CROSS JOIN executions AS e WHERE e.id = v.column2"
# A key whose claim is over is taken over; one that is taken stays, and the statement then writes a row less.
_INSERT_CLAIMS = "INSERT INTO idempotency_keys (key, fingerprint, execution_id, seq, created_at_us, over_at_us) VALUES "
_INSERT_CLAIMS_ON = (
    " ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, execution_id = excluded.execution_id,"
    " seq = excluded.seq, graph_id = NULL, graph_version = NULL, created_at_us = excluded.created_at_us,"
    " over_at_us = excluded.over_at_us WHERE idempotency_keys.over_at_us <= excluded.created_at_us"
)


class _Statement(NamedTuple):
    """What writes so many rows. ``otherwise`` is wrong where it writes fewer; None where it may."""

    text: str
    parameters: Sequence[Any]
    rows: int
    otherwise: str | None


def write_group(connection: sqlite3.Connection, batches: Iterable[Batch]) -> None:
    """Store all of the batches, or nothing, forced to disk.

    Raises:
        sqlite3.OperationalError: Not now; the same group may be tried again on the same connection.
        Exception: A batch of the group can never be stored.
    """
    statements = _statements(batches)
    if len(statements) == 1:
        _execute(connection, statements[0])  # alone it is its own transaction, without BEGIN and COMMIT
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            _execute(connection, statement)
        connection.execute("COMMIT")
    except BaseException:
        # Some errors have rolled back already. After a failed COMMIT the same connection still knows that nothing
        # was stored, and writes over it; a new one could take what lies in the log for stored.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def probe(connection: sqlite3.Connection) -> None:
    """Find out whether a write of moderate size would be stored now.

    Raises:
        sqlite3.OperationalError: It would not.
    """
    connection.execute("INSERT OR REPLACE INTO write_probe (id, body) VALUES (1, zeroblob(65536))")
    connection.execute("DELETE FROM write_probe")


def _execute(connection: sqlite3.Connection, statement: _Statement) -> None:
    done = connection.execute(statement.text, statement.parameters).rowcount
    if done != statement.rows and statement.otherwise is not None:
        raise GroupRejected(statement.otherwise)


def _statements(batches: Iterable[Batch]) -> list[_Statement]:
    rows = rows_of(batches)
    return [
        *_many(_INSERT_STARTS, rows.starts),
        *_many(_INSERT_CHUNKS, rows.chunks),
        *_many(_INSERT_LARGE, rows.large),
        *_many(_INSERT_REPORTED, rows.reported),
        *_many(_UPDATE_TURNS, rows.turns, _UPDATE_ENDS_WHERE),
        *_many(_UPDATE_ENDS, rows.ends, _UPDATE_ENDS_WHERE),
        *_many(_INSERT_TOLD, rows.told, _INSERT_TOLD_FROM),
        *_many(_ADD_DURATIONS, rows.durations, _ADD_DURATIONS_ON),
        *_many(_INSERT_CLAIMS, rows.claims_of_starts, _INSERT_CLAIMS_ON, otherwise=TAKEN),
        *_many(_INSERT_CLAIMS, rows.claims, _INSERT_CLAIMS_ON, otherwise=None),
    ]


def _many(head: str, rows: Sequence[Row], tail: str = "", *, otherwise: str | None = UNKNOWN) -> list[_Statement]:
    if not rows:
        return []
    width = len(rows[0])
    row = f"({','.join('?' * width)})"
    most = MAX_VARIABLES // width
    statements = []
    for begin in range(0, len(rows), most):
        part = rows[begin : begin + most]
        values = ",".join([row] * len(part))
        statements.append(
            _Statement(head + values + tail, [value for one in part for value in one], len(part), otherwise)
        )
    return statements
