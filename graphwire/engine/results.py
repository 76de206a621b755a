"""What a node may return beyond plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an async generator node that is not also a message. Elsewhere the same as its ``value``."""

    value: Any


@dataclass(frozen=True, slots=True)
class Goto:
    """A result that says where to go on.

    Attributes:
        targets: Node ids; each must be listed in the node's ``goto``, else the attempt fails with ``routing_error``.
        update: An update of the state, or None.
        append: Add to the success edges instead of replacing them (``else`` included).
    """

    targets: str | Sequence[str]
    update: Mapping[str, Any] | None = None
    append: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The targets as a tuple."""
        return (self.targets,) if isinstance(self.targets, str) else tuple(self.targets)
