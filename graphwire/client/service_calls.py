"""The requests about the service itself."""

from graphwire.client.answers import Live, NodeType, NodeTypes, Ready
from graphwire.client.call import Answer, Call, reads

_NODE_TYPES = reads(NodeTypes)


def list_node_types() -> Call[list[NodeType]]:
    """Return the node types that a definition may name."""
    return Call("GET", "/node-types", _read_node_types, is_repeatable=True)


def check_live() -> Call[Live]:
    """Return as long as the process answers."""
    return Call("GET", "/health/live", reads(Live))


def check_ready() -> Call[Ready]:
    """Return while new executions are taken. Asked once: where it is not so now, that is the answer.

    Raises:
        ProblemError: ``storage_unavailable`` or ``shutting_down``.
    """
    return Call("GET", "/health/ready", reads(Ready), is_asked_once=True)


def _read_node_types(answer: Answer) -> list[NodeType]:
    return _NODE_TYPES(answer).items
