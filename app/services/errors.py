"""Errors that only the service knows."""

from graphwire.errors import GraphwireError, NotFound, quoted
from graphwire.types import ExecutionId


class GraphExists(GraphwireError):
    """There is a graph with this id. PUT makes a new version of it."""

    code, title = "graph_exists", "Graph exists"


class ExecutionExists(GraphwireError):
    """There is, or was, an execution with the id that a declaration asks for."""

    code, title = "execution_exists", "Execution exists"


class GraphReadOnly(GraphwireError):
    """The graph comes from a folder of the operator's: it is changed there, not here."""

    code, title = "graph_read_only", "Graph is read-only"


class IdempotencyMismatch(GraphwireError):
    """An ``Idempotency-Key`` came with another route or another body before. Nothing was done; take a new key.

    The query and other headers are not compared.
    """

    code, title = "idempotency_mismatch", "Idempotency mismatch"


class CodeChanged(GraphwireError):
    """The code that a version of a graph names is not what it was when the version was stored."""

    code, title = "code_changed", "Code changed"


class CheckpointCorrupt(GraphwireError):
    """What is stored of the past of an execution is not what was written, so no state from there on can be made again.

    `usable` is the newest place before it from which one can: as `at` it is taken.
    """

    code, title = "checkpoint_corrupt", "Checkpoint corrupt"


class PreconditionRequired(GraphwireError):
    """A graph that exists is changed only with `If-Match`, so that nobody overwrites what they have not seen.

    `If-Match` names the version that the change was made for, as the `ETag` of the graph gives it; `*` is any.
    """

    code, title = "precondition_required", "Precondition required"


def no_execution(execution_id: ExecutionId) -> NotFound:
    """Return the error for an execution that there is not."""
    return NotFound(f"there is no execution {quoted(execution_id)}")
