"""How an execution's tokens and states are made again of its commits."""

from collections.abc import Mapping, Sequence

from graphwire.engine.joining import join, shown_state, sides_of
from graphwire.engine.merge import Merged
from graphwire.engine.plan import Plan
from graphwire.engine.records import Commit, Edited, Forked, decode_record
from graphwire.engine.reducers import Operations
from graphwire.engine.scheduler import Activation, Scheduler
from graphwire.engine.state import State
from graphwire.values import DELETE, Deleted, Frozen


class Replay:
    """The graph's own tokens and states after its commits, which are repeated in order. Calls no code.

    Activations that were in flight are active again. Commits inside child scopes change nothing outside of them.

    Attributes:
        written: The state that the latest commit left; the start's before the first.

    Args:
        start: The state that the execution was started with, encoded value by value.
        entry: The entry nodes that the start named; None for the graph's.
    """

    def __init__(self, plan: Plan, start: Mapping[str, bytes], entry: Sequence[str] | None) -> None:
        self.plan = plan
        self.written = self._initial = State.initial({**plan.initial, **start})
        self.scheduler: Scheduler[State] = Scheduler(
            plan.topology, plan.node_ids, plan.edge_ids, plan.entry_indexes(entry), ""
        )
        self.scheduler.start(self._initial)

    def commit(self, text: bytes) -> str | None:
        """Repeat a commit, or an edit; return whose commit it was, or None where it was none of the graph itself.

        Raises:
            ValueError: It follows from none before it: the commits are not those of an execution of this plan.
        """
        delta = decode_record(text)
        if isinstance(delta, Forked):
            for inner in delta.records:
                self.commit(bytes(inner))
        if isinstance(delta, Forked | Edited):
            self._edit(delta)
            return None
        if not isinstance(delta, Commit) or delta.scope:
            return None
        activation = self._active(delta.activation)
        if activation is None:
            raise ValueError(f"the commit of {delta.activation} follows from none before it")
        plan, scheduler = self.plan, self.scheduler
        update: dict[str, bytes | Deleted | Operations] = {key: bytes(value) for key, value in delta.update.items()}
        update.update(dict.fromkeys(delta.deleted, DELETE))
        folded: dict[str, Frozen] = {key: bytes(value) for key, value in delta.folded.items()}
        folded.update(dict.fromkeys(delta.emptied, DELETE))
        alone = scheduler.alone
        made: dict[str, Frozen] = {key: bytes(value) for key, value in delta.joined.items()}
        made.update(dict.fromkeys(delta.parted, DELETE))
        state = activation.tokens[0].state
        if len(activation.tokens) > 1:
            state = join(plan, activation, alone=alone, folded=made)[0].state
        self.written = state.commit(update, activation.id, plan.reducers, alone=alone, folded=folded)
        scheduler.complete(activation, delta.edges, self.written)
        return delta.activation

    def _edit(self, record: Edited | Forked) -> None:
        update: dict[str, Frozen] = {key: bytes(value) for key, value in record.values.items()}
        update.update(dict.fromkeys(record.deleted, DELETE))
        if update:
            self._initial, self.written = self._initial.edited(update), self.written.edited(update)
            self.scheduler.map_states(lambda state: state.edited(update))

    def begun(self, activation_id: str) -> State | None:
        """Return what an active activation of the graph itself begins with; None for any other."""
        activation = self._active(activation_id)
        if activation is None:
            return None
        if len(activation.tokens) == 1:
            return activation.tokens[0].state
        return join(self.plan, activation, alone=self.scheduler.alone)[0].state

    def shown(self) -> State:
        """Return the merged state, as people are shown it."""
        return self.merged().state

    def merged(self) -> Merged:
        """Return the merge of all live and ended states, as people are shown it."""
        return shown_state(self.plan, sides_of(self.plan, self.scheduler, self._initial))

    def _active(self, activation_id: str) -> Activation[State] | None:
        return next((found for found in self.scheduler.active() if found.id == activation_id), None)
