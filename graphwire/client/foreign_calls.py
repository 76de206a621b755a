"""The requests of an engine that runs elsewhere and reports what it does."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from graphwire.client.answers import Reported, Started
from graphwire.client.call import JSON, Call, body, once, path, reads


def declare_execution(
    graph_id: str,
    *,
    version: int | None = None,
    execution_id: str | None = None,
    correlation_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Call[Started]:
    """Declare an execution that another engine carries out, and that is followed like any other.

    Args:
        graph_id: The name of what runs; it need not be stored.
        version: Of the graph, if it is stored.
        execution_id: A UUID; else the service makes one.
        correlation_id: Stands in every event.
        metadata: Kept with the execution.
        idempotency_key: Names the declaration; else it has a new one, and is safe from lost answers.

    Raises:
        ProblemError: ``execution_exists``, ``not_found``, ``at_capacity``.
    """
    headers = once(idempotency_key)
    content = body(
        graph_id=graph_id, version=version, id=execution_id, correlation_id=correlation_id, metadata=metadata
    )
    return Call("POST", "/executions", reads(Started), headers=headers, content=content, is_repeatable=True)


def report_events(execution_id: str, events: Iterable[Mapping[str, Any]]) -> Call[Reported]:
    """Report events of an execution that was declared; return when they are stored.

    Each has an ``id`` of the producer's, by which one that is reported again is known: a report whose answer got lost
    is sent again. Nothing of a report with a fault is taken. Without events it asks for commands.

    Raises:
        ProblemError: ``invalid_request`` with every fault as ``errors``; ``command_not_allowed`` after the end.
    """
    content = msgspec.json.encode(list(events))
    headers = {"Content-Type": JSON}
    place = path("executions", execution_id, "events")
    return Call("POST", place, reads(Reported), headers=headers, content=content, is_repeatable=True)
