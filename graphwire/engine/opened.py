"""What an open attempt holds: the child scopes that are open in it, and what those before them came to.

Values only: what is opened next, and what it comes to, follows from the opener's state and from its scopes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from graphwire.engine.plan import ERRORS, NodePlan, Plan
from graphwire.engine.reducers import Operations, Reducers, Update
from graphwire.engine.results import kind_of
from graphwire.engine.state import State, values_of
from graphwire.errors import InputError, LoopLimitExceeded, NodeError, quoted
from graphwire.events.types import Failure
from graphwire.graphs.behaviour import ForEach, Subgraph, While
from graphwire.values import Deleted, Frozen, freeze, thaw

if TYPE_CHECKING:
    from graphwire.engine.attempt import Scope

Final: TypeAlias = "Callable[[Scope], State]"
"""Gives the state of a scope that is quiescent: the merge of where its branches ended."""

_ENCODER = msgspec.json.Encoder()


class Due(NamedTuple):
    """A child scope that is to be opened.

    Attributes:
        number: Among the scopes of its opener, from 0.
        step: What events say of it in ``path``; None where there is only one.
    """

    number: int
    step: int | None
    start: State


class Opened(ABC):
    """The child scopes of one open attempt.

    Attributes:
        scopes: Those that are open.
        failure: Set once the attempt is failing; it fails when the last scope is closed.
        counts_steps: Each scope counts its own steps, which are none of the execution.
    """

    __slots__ = ("failure", "scopes")
    counts_steps = False

    def __init__(self) -> None:
        self.scopes: dict[Scope, None] = {}
        self.failure: Failure | None = None

    @property
    @abstractmethod
    def nothing(self) -> Any:
        """What the attempt gives where no scope is opened at all."""

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        return 0.0

    @property
    def counted(self) -> tuple[int, int] | None:
        """How many of how many scopes are done, where that can be told."""
        return None

    @abstractmethod
    def due(self) -> Due | None:
        """Return the scope to open next, once; None where none may be opened now.

        Raises:
            NodeError: What says so cannot be evaluated, or there would be too many.
        """

    @abstractmethod
    def take(self, scope: "Scope", final: Final) -> None:
        """A scope is quiescent: take what it came to.

        Raises:
            NodeError: Its branches cannot be merged.
        """

    def collects(self) -> bool:
        """Whether the failure of a scope is something that it came to, for ``take_failure``, and not the attempt's."""
        return False

    def take_failure(self, scope: "Scope", failure: Failure) -> None:
        """A scope ended with an error that is collected."""
        raise ValueError("it collects no errors")

    @abstractmethod
    def edit(self, change: Callable[[State], State], keys: Collection[str]) -> None:
        """A person set top-level keys in every state: nothing here wrote them any more."""

    @abstractmethod
    def outcome(self) -> tuple[Update, bytes]:
        """Return the update and the result as JSON, once nothing is open and nothing due.

        Raises:
            NodeError: What was written cannot be folded.
        """


def opened_by(node: NodePlan, behaviour: ForEach | Subgraph | While, state: State) -> Opened:
    """Return what a node opens that begins with this state; nothing is open yet.

    Raises:
        NodeError: What says which scopes there are cannot be evaluated.
    """
    match behaviour:
        case ForEach():
            return Items(node, behaviour, state)
        case While():
            return Rounds(node, behaviour, state)
        case Subgraph():
            return Single(node, behaviour, state)


class Items(Opened):
    """A scope for each item of a list, some at once. ``foreach``."""

    __slots__ = ("_behaviour", "_done", "_following", "_node", "_results", "_state", "_values")
    counts_steps = True

    def __init__(self, node: NodePlan, behaviour: ForEach, state: State) -> None:
        super().__init__()
        try:
            values = behaviour.items.evaluate({"state": state.view()})
        except NodeError as error:
            raise InputError(f"items: {error.detail}") from error
        if not isinstance(values, list):
            raise InputError(f"items is {kind_of(values)}, not a list")
        self._node = node
        self._behaviour = behaviour
        self._state = state
        self._values = values
        self._results: list[bytes] = [b""] * len(values)
        self._following = 0
        self._done = 0

    @property
    def nothing(self) -> Any:
        return []

    @property
    def share(self) -> float:
        return self._done / len(self._values)

    @property
    def counted(self) -> tuple[int, int] | None:
        return self._done, len(self._values)

    def due(self) -> Due | None:
        if self._following == len(self._values) or len(self.scopes) >= self._behaviour.max_parallelism:
            return None
        index = self._following
        self._following += 1
        extra = {self._behaviour.item: freeze(self._values[index]), self._behaviour.index: b"%d" % index}
        return Due(index, index, self._state.child(extra))

    def take(self, scope: "Scope", final: Final) -> None:
        if self._behaviour.single:
            self._put(scope, scope.result)
        else:
            self._put(scope, as_object(final(scope).written(), scope.plan.reducers))

    def collects(self) -> bool:
        return self._behaviour.collect

    def take_failure(self, scope: "Scope", failure: Failure) -> None:
        self._put(scope, _ENCODER.encode(failure))

    def edit(self, change: Callable[[State], State], keys: Collection[str]) -> None:
        self._state = change(self._state)

    def _put(self, scope: "Scope", result: bytes) -> None:
        self._results[scope.index] = result
        self._done += 1

    def outcome(self) -> tuple[Update, bytes]:
        result = b"[" + b",".join(self._results) + b"]"
        return {self._node.output: result}, result


class Single(Opened):
    """One scope. ``subgraph``."""

    __slots__ = ("_due", "_node", "_reducers", "_written")

    def __init__(self, node: NodePlan, behaviour: Subgraph, state: State) -> None:
        super().__init__()
        plan = node.body
        assert plan is not None, "a plan is linked before it runs"
        self._node = node
        self._reducers = plan.reducers
        self._due: Due | None = Due(0, None, _begin(node, plan, behaviour, state))
        self._written: Update = {}

    @property
    def nothing(self) -> Any:
        return {}

    def due(self) -> Due | None:
        due, self._due = self._due, None
        return due

    def take(self, scope: "Scope", final: Final) -> None:
        self._written = final(scope).written()

    def edit(self, change: Callable[[State], State], keys: Collection[str]) -> None:
        """What its scope begins with is in the scope, and what it wrote is not taken before its end."""

    def outcome(self) -> tuple[Update, bytes]:
        return _passed_on(self._node, self._written, self._reducers)


class Rounds(Opened):
    """Scopes one after the other, each with what those before it wrote. ``while``."""

    __slots__ = ("_behaviour", "_index", "_node", "_operations", "_reducers", "_state", "_written")

    def __init__(self, node: NodePlan, behaviour: While, state: State) -> None:
        super().__init__()
        assert node.body is not None
        self._node = node
        self._behaviour = behaviour
        self._reducers = node.body.reducers
        self._index = 0
        self._state = state
        self._written: dict[str, bytes | Deleted | Operations] = {}
        self._operations: dict[str, list[Frozen]] = {}

    @property
    def nothing(self) -> Any:
        return {}

    def due(self) -> Due | None:
        if self.scopes:
            return None
        behaviour, index = self._behaviour, self._index
        start = self._state.child({} if behaviour.index is None else {behaviour.index: b"%d" % index})
        try:
            is_due = behaviour.condition.evaluate_condition({"state": start.view()})
        except NodeError as error:
            raise InputError(f"condition: {error.detail}") from error
        if not is_due:
            return None
        if index == behaviour.max_iterations:
            detail = f"the condition still holds after {index:,} iterations (max_iterations)"
            raise LoopLimitExceeded(detail, limit=index)
        self._index += 1
        return Due(index, index, start)

    def take(self, scope: "Scope", final: Final) -> None:
        self._state = final(scope)
        for key, written in self._state.written().items():
            if isinstance(written, Operations):
                self._operations.setdefault(key, []).extend(written.writes)
            self._written[key] = written

    def edit(self, change: Callable[[State], State], keys: Collection[str]) -> None:
        self._state = change(self._state)
        for key in keys:
            self._written.pop(key, None)
            self._operations.pop(key, None)

    def outcome(self) -> tuple[Update, bytes]:
        written = self._written
        for key, writes in self._operations.items():
            last = written[key]
            assert isinstance(last, Operations)
            written[key] = Operations(tuple(writes), last.value)
        return _passed_on(self._node, written, self._reducers)


def as_object(written: Update, reducers: Reducers) -> bytes:
    """Return what a child scope wrote as a JSON object; deleted keys are null.

    Raises:
        ReducerError: Its operations on a key cannot be folded on their own.
    """
    parts = [
        _ENCODER.encode(key) + b":" + (value if isinstance(value, bytes) else b"null")
        for key, value in values_of(written, reducers).items()
    ]
    return b"{" + b",".join(parts) + b"}"


def _passed_on(node: NodePlan, written: Update, reducers: Reducers) -> tuple[Update, bytes]:
    """Return what a node writes whose result is what its scopes wrote. Errors that they handled are errors here too."""
    result = as_object({key: value for key, value in written.items() if key != ERRORS}, reducers)
    if not node.has_output:
        return written, result
    update: dict[str, bytes | Deleted | Operations] = {node.output: result}
    if ERRORS in written:
        update[ERRORS] = written[ERRORS]
    return update, result


def _begin(node: NodePlan, plan: Plan, behaviour: Subgraph, state: State) -> State:
    """Return what the scope of a subgraph begins with."""
    view = state.view()
    given: dict[str, bytes] = {}
    for name, expression in node.inputs.items():
        try:
            given[name] = freeze(expression.evaluate({"state": view}))
        except NodeError as error:
            raise InputError(f"input {quoted(name)}: {error.detail}") from error
    if behaviour.inherits:
        missing = {key: value for key, value in plan.initial.items() if state.get(key) is None}
        start = state.child({**missing, **given})
    else:
        start = State.initial({}).child({**plan.initial, **given})
    if plan.schema is not None and node.reference is not None:
        whole = {key: thaw(value) for key in start.keys() if (value := start.get(key)) is not None and key != ERRORS}
        problems = plan.schema.problems(whole)
        if problems:
            detail = f"{problems[0].pointer}: {problems[0].detail}" if problems[0].pointer else problems[0].detail
            raise InputError(f"the state does not fit graph {quoted(plan.definition.id)}: {detail}")
    return start
