"""Errors of what is stored, raised by meaning."""

from graphwire.errors import GraphwireError


class RevisionConflict(GraphwireError):
    """What was to be changed has another version than the caller believed (RFC 9110 §13.1.1)."""

    code, title = "revision_conflict", "Changed meanwhile"
