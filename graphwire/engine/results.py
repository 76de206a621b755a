"""What a node may return beyond plain values."""

from collections.abc import Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from graphwire.errors import RoutingError, StateInvalid, StateTooLarge, quoted
from graphwire.graphs.definition import ERRORS_KEY
from graphwire.values import DELETE, Deleted, freeze, freeze_update


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
        """The targets as a tuple.

        Raises:
            RoutingError: They are no names.
        """
        targets: object = self.targets
        if isinstance(targets, str):
            return (str.__str__(targets),)
        if not isinstance(targets, Sequence | AbstractSet):
            raise RoutingError(f"the targets of a Goto are {kind_of(targets)}, not a node's id or a list of them")
        try:
            listed = tuple(targets)
        except BaseException as error:  # border: reading them may run the node's own code
            raise RoutingError(f"the targets of a Goto could not be read ({type(error).__name__})") from error
        names = tuple(str.__str__(target) for target in listed if isinstance(target, str))
        if len(names) < len(listed):
            wrong = next(target for target in listed if not isinstance(target, str))
            raise RoutingError(f"among the targets of a Goto is {kind_of(wrong)}, not a node's id")
        return names


def read_result(
    key: str, has_output: bool, value: Any
) -> tuple[Mapping[str, bytes | Deleted] | None, bytes, Goto | None]:
    """Return what a node's return value writes, the result as JSON (what is deleted shows as null), and where it goes.

    Args:
        key: Takes what is no mapping; with ``has_output`` a mapping too.

    Raises:
        StateNotSerializable: Some of it is not JSON.
        StateInvalid: It writes a reserved key.
        RoutingError: A ``Goto`` has an update that is no mapping.
    """
    goto: Goto | None = None
    while isinstance(value, Result):
        value = value.value
    if isinstance(value, Goto):
        goto, value = value, value.update
        if value is not None and not isinstance(value, Mapping):
            raise RoutingError(f"the update of a Goto is {kind_of(value)}, not a mapping")
    if value is None:
        return None, b"null", goto
    update: Mapping[str, bytes | Deleted]
    if isinstance(value, Mapping) and not has_output:
        update = freeze_update(value)
        members = [
            freeze(name) + b":" + (item if isinstance(item, bytes) else b"null") for name, item in update.items()
        ]
        result = b"{" + b",".join(members) + b"}"
    elif value is DELETE:
        update, result = {key: DELETE}, b"null"
    else:
        result = freeze(value)
        update = {key: result}
    if ERRORS_KEY in update:
        raise StateInvalid('the key "errors" is reserved: only the engine writes it')
    return update, result, goto


def kind_of(value: object) -> str:
    """Return what a value is, in the words of JSON."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def too_large(update: Mapping[str, object], size: int, limit: int) -> StateTooLarge:
    """Return the error of a state that an update, if there is one, made too large."""
    sizes = {key: len(value) for key, value in update.items() if isinstance(value, bytes)}
    largest = max(sizes, key=sizes.__getitem__, default="")
    cause = f" with {quoted(largest)}" if largest else ""
    return StateTooLarge(
        f"the state would have {size:,} bytes{cause}; the limit is {limit:,} (limits.max_state_bytes)",
        key=largest,
        bytes=size,
    )
