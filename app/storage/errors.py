"""Errors of what is stored, raised by meaning."""

from graphwire.errors import GraphwireError, StorageUnavailable


class RevisionConflict(GraphwireError):
    """What was to be changed has another version than the caller believed (RFC 9110 §13.1.1)."""

    code, title = "revision_conflict", "Changed meanwhile"


class KeyTaken(StorageUnavailable):
    """The key of this one change was taken at this moment. It says nothing about other changes."""
