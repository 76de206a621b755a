"""Built-in node types."""

from graphwire.nodes.builtin import builtin_registry

__all__ = ["builtin_registry"]
