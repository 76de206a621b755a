"""The state that travels with the tokens: immutable, shared where it is equal."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from graphwire.engine.layers import Layers
from graphwire.engine.reducers import Operations, Reducers, Update, Value, to_bytes
from graphwire.values import DELETE, Deleted, Frozen, thaw

_encode_key: Final = msgspec.json.Encoder().encode


class Log:
    """What is known of the writes of one scope since its branches parted; shared by the states of the scope.

    Each write has a bit, so that a past, the set of writes that a state has seen, is a whole number, and pasts are
    united and compared at once. A bit also stands for a merge that found equal values: it decides whose stand.

    Attributes:
        keeps: The scope's opener asks at its end what it wrote, so nothing is ever forgotten.
        keys: What each bit's write may have touched.
    """

    __slots__ = ("_bits", "keeps", "keys")

    def __init__(self, *, keeps: bool = False) -> None:
        self.keeps = keeps
        self.keys: list[tuple[str, ...]] = []
        self._bits: dict[str, int] = {}

    def bit(self, write: str, keys: tuple[str, ...]) -> int:
        """Return the bit of a write that touches these keys."""
        bit = self._bits.get(write)
        if bit is None:
            bit = self._bits[write] = len(self.keys)
            self.keys.append(keys)
        elif self.keys[bit] != keys:  # a merge settles key by key; what a person looks at is merged again and again
            self.keys[bit] = tuple(dict.fromkeys(self.keys[bit] + keys))
        return bit


class Operation:
    """What one write did to a key with a reducer, and the operation before it."""

    __slots__ = ("before", "bit", "writes")

    def __init__(self, before: "Operation | None", bit: int, writes: tuple[Frozen, ...]) -> None:
        self.before = before
        self.bit = bit
        self.writes = writes


class Recorded:
    """The operations on a key with a reducer since the branches parted: a chain, shared by those that went on from it.

    Attributes:
        last: The latest one.
        mask: The bits of all of them; kept here, not with each, since it is as long as the scope has writes.
    """

    __slots__ = ("last", "mask")

    def __init__(self, last: Operation, mask: int) -> None:
        self.last = last
        self.mask = mask

    def since(self, seen: int) -> tuple[list[Operation], Operation | None]:
        """Return the operations whose bits are not among ``seen``, in order, and the one before the first of them."""
        missing = (self.mask & ~seen).bit_count()
        known = seen.to_bytes(max(seen.bit_length(), self.mask.bit_length()) // 8 + 1, "little")
        found: list[Operation] = []
        operation: Operation | None = self.last
        while missing:
            assert operation is not None
            if not known[operation.bit >> 3] >> (operation.bit & 7) & 1:
                missing -= 1
                found.append(operation)
            operation = operation.before
        found.reverse()
        return found, operation


class Apart:
    """What a state keeps while there are others in its scope. A key in neither map is as when they parted.

    Attributes:
        past: The bits of the writes that the state has seen.
        writes: The bit of the last write of each key without a reducer.
        operations: Of each key with one.
    """

    __slots__ = ("operations", "past", "writes")

    def __init__(self, past: int, writes: Layers[int], operations: Layers[Recorded]) -> None:
        self.past = past
        self.writes = writes
        self.operations = operations


NOTHING_APART: Final = Apart(0, Layers({}, None, {}), Layers({}, None, {}))


class State:
    """One mapping from keys to JSON values, and what a merge must know of how it came about.

    Attributes:
        size: Bytes of the whole as JSON; an empty state counts 1.
    """

    __slots__ = ("apart", "log", "size", "values")

    def __init__(self, values: Layers[Value], size: int, log: Log, apart: Apart | None) -> None:
        """For ``merge`` and this module; others begin with ``initial``."""
        self.values = values
        self.size = size
        self.log = log
        self.apart = apart

    @classmethod
    def initial(cls, values: Mapping[str, bytes]) -> "State":
        """Return the state at the start of an execution."""
        size = sum(key_size(key) + len(value) for key, value in values.items())
        return cls(Layers(dict(values), None, {}), 1 + size, Log(), None)

    def get(self, key: str) -> bytes | None:
        """Return the value of a key as JSON; None if it is absent."""
        value = self.values.get(key)
        return value if type(value) is bytes or value is None else to_bytes(value)

    def keys(self) -> Iterator[str]:
        """Iterate over the keys, sorted."""
        return (key for key, _ in self.values.items())

    def view(self) -> "StateView":
        """Return a reader with copies of its own."""
        return StateView(self)

    def to_json(self) -> bytes:
        """Return the whole as a JSON object, its keys sorted."""
        members = [_encode_key(key) + b":" + to_bytes(value) for key, value in self.values.items()]
        return b"{" + b",".join(members) + b"}"

    def commit(
        self,
        update: Update,
        write: str,
        reducers: Reducers,
        *,
        alone: bool,
        folded: Mapping[str, Frozen] | None = None,
    ) -> "State":
        """Return the state after a node's update.

        Args:
            write: Names the commit; no other in the scope has the name.
            alone: This is the only state of its scope, so nothing need be kept for a merge.
            folded: When a commit is repeated from its delta: what functions made of their keys; none is called then.

        Raises:
            ReducerError: An operation cannot be folded.
        """
        if not update:
            return self.collapsed() if alone else self
        values, log = self.values, self.log
        size = self.size
        changes: dict[str, Value | None] = {}
        reduced = reducers.keys
        new: Value | None
        for key, written in update.items():
            old = values.get(key)
            if key in reduced:
                new = _fold(reducers, key, old, written, folded)
            elif type(written) is bytes:
                new = written
                if type(old) is bytes:  # as below, but without a call: the commonest case
                    changes[key] = new
                    size += len(new) - len(old)
                    continue
            else:
                new = _plain(written)
            changes[key] = new
            size += _growth(key, old, new)
        if alone and not log.keeps:
            return State(values.set(changes), size, log if self.apart is None else Log(), None)
        return State(values.set(changes), size, log, self._parted(update, write, reduced))

    def collapsed(self) -> "State":
        """Return the state as the only one of its scope: operations are part of the values, its past is empty."""
        if self.apart is None or self.log.keeps:
            return self
        return State(self.values, self.size, Log(), None)

    def with_values(self, changes: Mapping[str, Value | None], apart: Apart) -> "State":
        """For ``merge``: return the state with these values, None absent, and this beside them."""
        size = self.size + sum(_growth(key, self.values.get(key), new) for key, new in changes.items())
        return State(self.values.set(changes) if changes else self.values, size, self.log, apart)

    def edited(self, update: Mapping[str, Frozen]) -> "State":
        """Return the state after a person set these keys whole, which is done to every state of the execution.

        Their recorded operations are dropped, and a child scope did not write them.
        """
        size = self.size
        changes: dict[str, Value | None] = {}
        for key, written in update.items():
            changes[key] = new = _plain(written)
            size += _growth(key, self.values.get(key), new)
        apart = self.apart
        if apart is not None:
            gone = dict.fromkeys(update)
            apart = Apart(apart.past, apart.writes.set(gone), apart.operations.set(gone))
        return State(self.values.set(changes), size, self.log, apart)

    def child(self, extra: Mapping[str, bytes]) -> "State":
        """Return the state at the start of a child scope that this state's activation opens."""
        size = self.size + sum(_growth(key, self.values.get(key), value) for key, value in extra.items())
        return State(self.values.set(extra), size, Log(keeps=True), None)

    def written(self) -> dict[str, bytes | Deleted | Operations]:
        """Return what the child scope wrote since its start, as an update for its opener's commit."""
        apart = self.apart
        if apart is None:
            return {}
        written: dict[str, bytes | Deleted | Operations] = {key: self._frozen(key) for key, _ in apart.writes.items()}
        for key, recorded in apart.operations.items():
            operations, _ = recorded.since(0)
            writes = tuple(write for operation in operations for write in operation.writes)
            written[key] = Operations(writes, self._frozen(key))
        return written

    def written_values(self, reducers: Reducers) -> dict[str, Frozen]:
        """Return what the child scope wrote as values: operations are folded as on a missing key.

        Raises:
            ReducerError: An operation cannot be folded so.
        """
        return values_of(self.written(), reducers)

    def _frozen(self, key: str) -> Frozen:
        return _frozen(self.values.get(key))

    def _parted(self, update: Update, write: str, reduced: frozenset[str]) -> Apart:
        bit = self.log.bit(write, tuple(update))
        apart = self.apart or NOTHING_APART
        writes, operations = apart.writes, apart.operations
        plain = {key: bit for key in update if key not in reduced}
        if plain:
            writes = writes.set(plain)
        if len(plain) < len(update):
            operations = operations.set(
                {key: _recorded(operations.get(key), bit, written) for key, written in update.items() if key in reduced}
            )
        return Apart(apart.past | 1 << bit, writes, operations)


class StateView(Mapping[str, Any]):
    """A state as a read-only mapping. Values are decoded when they are first read, for this view alone."""

    __slots__ = ("_read", "_state")

    def __init__(self, state: State) -> None:
        self._state = state
        self._read: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        read = self._read
        if key in read:
            return read[key]
        value = self._state.get(key)
        if value is None:
            raise KeyError(key)
        read[key] = plain = thaw(value)
        return plain

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._state.values.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        return self._state.keys()

    def __len__(self) -> int:
        return sum(1 for _ in self._state.keys())

    def __repr__(self) -> str:
        return f"StateView({dict(self)!r})"

    def to_json(self) -> bytes:
        """Return the state as it was given, as JSON: changes made to what was read do not show."""
        return self._state.to_json()


def values_of(written: Update, reducers: Reducers) -> dict[str, Frozen]:
    """Return what a child scope wrote as values: operations are folded as on a missing key.

    Raises:
        ReducerError: An operation cannot be folded so.
    """
    return {
        key: _frozen(_fold(reducers, key, None, wrote, None)) if isinstance(wrote, Operations) else wrote
        for key, wrote in written.items()
    }


def key_size(key: str) -> int:
    """Return what a key adds to the size of a state beside its value: quotes, colon and comma included."""
    return len(key) + 4 if key.isascii() and key.isidentifier() else len(_encode_key(key)) + 2


def _growth(key: str, old: Value | None, new: Value | None) -> int:
    if old is None:
        return 0 if new is None else key_size(key) + value_size(new)
    return (value_size(new) if new is not None else -key_size(key)) - value_size(old)


def value_size(value: Value) -> int:
    """Return the length of a value's JSON."""
    return len(value) if isinstance(value, bytes) else value.size


def _fold(
    reducers: Reducers,
    key: str,
    old: Value | None,
    written: bytes | Deleted | Operations,
    folded: Mapping[str, Frozen] | None,
) -> Value | None:
    if folded is not None and key in folded:
        return _plain(folded[key])
    for write in _writes(written):
        old = reducers.fold(key, old, write)
    return old


def _recorded(before: Recorded | None, bit: int, written: bytes | Deleted | Operations) -> Recorded:
    if before is None:
        return Recorded(Operation(None, bit, _writes(written)), 1 << bit)
    return Recorded(Operation(before.last, bit, _writes(written)), before.mask | 1 << bit)


def _writes(written: bytes | Deleted | Operations) -> tuple[Frozen, ...]:
    return written.writes if isinstance(written, Operations) else (written,)


def _plain(written: bytes | Deleted | Operations) -> bytes | None:
    if isinstance(written, Operations):
        written = written.value
    return None if isinstance(written, Deleted) else written


def _frozen(value: Value | None) -> Frozen:
    return DELETE if value is None else to_bytes(value)
