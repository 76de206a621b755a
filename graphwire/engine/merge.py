"""What becomes of states that meet at a join or at the end of a scope."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import Final, assert_never

from msgspec import Struct, field

from graphwire.engine.reducers import Reducers, Value, merge_mappings, to_bytes
from graphwire.engine.state import NOTHING_APART, Apart, Operation, Recorded, State
from graphwire.errors import MergeConflict, quoted
from graphwire.types import ConflictPolicy
from graphwire.values import DELETE, Deleted, Frozen, freeze, json_equal, thaw

_BASE: Final = -1
"""Stands for the bit of a write that all states of the scope have in their past."""


class Side(Struct, frozen=True):
    """One of the states that meet. Sides are in the definition order of the edges that they came by.

    Attributes:
        node: The node that the state comes from.
    """

    state: State
    node: str


@dataclass(frozen=True, slots=True)
class Policies:
    """What is done about conflicts: the key's policy, else the joining node's, else the graph's."""

    by_key: Mapping[str, ConflictPolicy]
    node: ConflictPolicy | None
    graph: ConflictPolicy | None

    def of(self, key: str) -> ConflictPolicy:
        """Return the policy for a key."""
        return self.by_key.get(key) or self.node or self.graph or "last_write_wins"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Sides held different values under a key.

    Attributes:
        nodes: Of the sides whose writes stood against each other, in the order of the sides.
        values: What they held, as JSON; None is absent.
        value: What stands now.
    """

    key: str
    nodes: list[str]
    values: list[bytes | None]
    policy: ConflictPolicy
    value: bytes | None


class Merged(Struct, frozen=True):
    """The outcome of a merge.

    Attributes:
        conflicts: By key, sorted.
        folded: What functions made of keys at this merge, to be recorded: a repetition takes it and calls none.
    """

    state: State
    conflicts: list[Conflict] = field(default_factory=list)
    folded: dict[str, Frozen] = field(default_factory=dict)


def merge(
    sides: Sequence[Side],
    *,
    write: str,
    policies: Policies,
    reducers: Reducers,
    folded: Mapping[str, Frozen] | None = None,
) -> Merged:
    """Merge the states of one scope that meet. At least one side; costs what the sides do not have in common.

    Per key, a side's write is dropped if another side has it in its past and holds a different one. What is left
    stands if it is one write or all are equal as JSON; otherwise the policy decides, and the outcome is a new write.
    Operations on a key with a reducer are folded side by side, each once.

    Args:
        write: Names the outcomes of conflicts; no commit and no other merge in the scope has the name.
        folded: When a merge is repeated from its delta: its ``folded`` then.

    Raises:
        MergeConflict: A key's policy is ``fail``.
        ReducerError: Operations that meet cannot be folded.
        ValueError: The states are not of one scope, or one was collapsed while there were others.
    """
    first = sides[0].state
    if len(sides) == 1 or all(side.state is first for side in sides):
        return Merged(first)
    if any(side.state.log is not first.log for side in sides):
        raise ValueError("states of different scopes cannot be merged")
    return _Merge(sides, write, policies, reducers, folded).run()


class _Merge:
    def __init__(
        self,
        sides: Sequence[Side],
        write: str,
        policies: Policies,
        reducers: Reducers,
        folded: Mapping[str, Frozen] | None,
    ) -> None:
        self._sides = sides
        self._write = write
        self._policies = policies
        self._reducers = reducers
        self._replayed = folded or {}
        self._first = sides[0].state
        self._log = self._first.log
        self._aparts = [side.state.apart or NOTHING_APART for side in sides]
        self._past = reduce(int.__or__, (apart.past for apart in self._aparts))
        self._common = reduce(int.__and__, (apart.past for apart in self._aparts))
        self._changes: dict[str, Value | None] = {}
        self._writes: dict[str, int | None] = {}
        self._operations: dict[str, Recorded | None] = {}
        self._conflicts: list[Conflict] = []
        self._folded: dict[str, Frozen] = {}

    def run(self) -> Merged:
        reduced = self._reducers.keys
        for key, touched in sorted(self._disputed().items()):
            if key in reduced:
                self._fold(key)
            else:
                self._choose(key, touched)
        return Merged(self._state(), self._conflicts, self._folded)

    def _disputed(self) -> dict[str, list[int]]:
        """Take each write that only one side has seen and to whose key no other side has seen another.

        Returns:
            The keys that are left, with the sides, in order, that have seen a write to it which not all have seen.
        """
        one: dict[str, int] = {}
        disputed: dict[str, list[int]] = {}
        keys = self._log.keys
        for index, apart in enumerate(self._aparts):
            for bit in _bits(apart.past & ~self._common):
                for key in keys[bit]:
                    before = one.setdefault(key, index)
                    if before != index and disputed.setdefault(key, [before])[-1] != index:
                        disputed[key].append(index)
        for key, index in one.items():
            if key not in disputed and not self._is_taken(key, index):
                disputed[key] = [index]
        return disputed

    def _is_taken(self, key: str, index: int) -> bool:
        held = self._aparts[index].writes.get(key)
        if held is None or self._common >> held & 1:
            return False  # an operation, set by hand since, or one of several equal writes
        if index:
            self._changes[key] = self._sides[index].state.values.get(key)
            self._writes[key] = held
        return True

    def _state(self) -> State:
        first, apart = self._first, self._aparts[0]
        if not self._changes and not self._writes and not self._operations and self._past == apart.past:
            return first
        apart = Apart(
            self._past,
            apart.writes.set(self._writes) if self._writes else apart.writes,
            apart.operations.set(self._operations) if self._operations else apart.operations,
        )
        return first.with_values(self._changes, apart)

    def _choose(self, key: str, touched: list[int]) -> None:
        standing = self._standing(key, touched)
        last = standing[-1]
        bits = {self._bit(index, key) for index in standing}
        if len(bits) > 1:
            values = [self._value(index, key) for index in standing]
            if not all(_equal(values[0], value) for value in values[1:]):
                self._settle(key, standing, values)
                return
            # Others that merged the same writes in another order hold another of them.
            self._past |= 1 << self._log.bit(f"{self._write} =", (key,))
        bit = self._bit(last, key)
        if bit != self._bit(0, key):
            self._changes[key] = self._sides[last].state.values.get(key)
            self._writes[key] = None if bit == _BASE else bit

    def _standing(self, key: str, touched: list[int]) -> list[int]:
        """Return the sides, in order, whose writes are not dropped.

        The sides that are not among ``touched`` have seen the same writes to the key, so they hold the same one, and
        one of them speaks for all, unless nobody's write is left.
        """
        others = _first_missing(touched)
        speakers = touched if others == len(self._sides) else sorted([*touched, others])
        pasts: dict[int, int] = {}
        for index in speakers:
            bit = self._bit(index, key)
            past = self._common if index == others else self._aparts[index].past
            pasts[bit] = pasts.get(bit, 0) | past
        if len(pasts) == 1:
            return [speakers[-1]]
        left = set(_undominated(pasts))
        if left:
            return [index for index in speakers if self._bit(index, key) in left]
        return list(range(len(self._sides)))

    def _settle(self, key: str, standing: list[int], values: list[bytes | None]) -> None:
        """Decide a conflict."""
        policy = self._policies.of(key)
        nodes = [self._sides[index].node for index in standing]
        value: bytes | None
        match policy:
            case "last_write_wins":
                value = values[-1]
            case "first_write_wins":
                value = values[0]
            case "merge":
                value = _merged_objects(values)
            case "fail":
                raise MergeConflict(
                    f"{', '.join(map(quoted, nodes))} wrote different values to key {quoted(key)}",
                    key=key,
                    nodes=nodes,
                    values=[None if value is None else thaw(value) for value in values],
                )
            case _:
                assert_never(policy)
        bit = self._log.bit(self._write, (key,))
        self._past |= 1 << bit
        self._changes[key] = value
        self._writes[key] = bit
        self._conflicts.append(Conflict(key, nodes, values, policy, value))

    def _fold(self, key: str) -> None:
        recorded = self._aparts[0].operations.get(key)
        value = self._first.values.get(key)
        unchanged = recorded
        called = False
        for side, apart in zip(self._sides[1:], self._aparts[1:], strict=True):
            offered = apart.operations.get(key)
            last, seen = (None, 0) if recorded is None else (recorded.last, recorded.mask)
            if offered is None or not offered.mask & ~seen:
                continue
            operations, before = offered.since(seen)
            if before is last:  # the side went on from what there is
                recorded, value, called = offered, side.state.values.get(key), False
                continue
            for operation in operations:
                last = Operation(last, operation.bit, operation.writes)
                if key not in self._replayed:
                    for written in operation.writes:
                        value = self._reducers.fold(key, value, written)
            assert last is not None
            recorded = Recorded(last, seen | offered.mask)
            called = self._reducers.calls_code(key)
        if recorded is unchanged:
            return
        if called:
            if key in self._replayed:
                frozen = self._replayed[key]
                value = None if isinstance(frozen, Deleted) else frozen
            self._folded[key] = DELETE if value is None else to_bytes(value)
        self._changes[key] = value
        self._operations[key] = recorded

    def _bit(self, index: int, key: str) -> int:
        bit = self._aparts[index].writes.get(key)
        return _BASE if bit is None else bit

    def _value(self, index: int, key: str) -> bytes | None:
        return self._sides[index].state.get(key)


def _bits(mask: int) -> Iterator[int]:
    """Iterate over the bits that are set, in order."""
    if mask.bit_count() > 64:  # each step of the loop below costs as much as the mask is long
        text = bin(mask)[:1:-1]
        yield from (index for index, digit in enumerate(text) if digit == "1")
        return
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _first_missing(indexes: Sequence[int]) -> int:
    """Return the first whole number from 0 that an ascending sequence lacks."""
    for expected, index in enumerate(indexes):
        if index != expected:
            return expected
    return len(indexes)


def _undominated(pasts: Mapping[int, int]) -> Iterator[int]:
    """Iterate over the writes, of two or more, that none of those who hold another has in its past."""
    after = list(accumulate(reversed(list(pasts.values())), int.__or__, initial=0))
    before = 0
    for position, (bit, past) in enumerate(pasts.items(), start=2):
        if bit != _BASE and not (before | after[-position]) >> bit & 1:
            yield bit
        before |= past


def _equal(one: bytes | None, other: bytes | None) -> bool:
    if one is None or other is None:
        return one is other
    return json_equal(one, other)


def _merged_objects(values: Sequence[bytes | None]) -> bytes | None:
    """Return objects merged deeply, side by side; if any is no object, the last value."""
    objects = [value for value in values if value is not None and value.startswith(b"{")]
    if len(objects) < len(values):
        return values[-1]
    return freeze(reduce(merge_mappings, map(thaw, objects)))
