"""Errors that only the service knows."""

from graphwire.errors import GraphwireError


class GraphExists(GraphwireError):
    """There is a graph with this id. PUT makes a new version of it."""

    code, title = "graph_exists", "Graph exists"


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
