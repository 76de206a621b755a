"""Where states meet: at a join, at the end, and for people who look."""

from collections.abc import Mapping, Sequence

from graphwire.engine.merge import Merged, Policies, Side, merge
from graphwire.engine.plan import Plan
from graphwire.engine.scheduler import Activation, Scheduler
from graphwire.engine.state import State
from graphwire.errors import MergeConflict, NodeError, ReducerError
from graphwire.values import Frozen

_LENIENT = Policies({}, None, "last_write_wins")


def join(
    plan: Plan, activation: Activation[State], *, alone: bool, folded: Mapping[str, Frozen] | None = None
) -> tuple[Merged, NodeError | None]:
    """Return what an activation with several tokens begins with, and why it may not begin.

    Where the merge is refused, the merge is one that lets the last write stand: nothing that was written is lost.

    Args:
        alone: The activation is all that there is in its scope.
        folded: When a join is repeated from its delta: what functions made of keys.
    """
    node = plan.nodes[activation.node]
    sides = [Side(token.state, plan.source_of(token.edge)) for token in activation.tokens]
    write = f"{activation.id}/merge"
    refused: NodeError | None = None
    try:
        merged = merge(sides, write=write, policies=node.policies, reducers=plan.reducers, folded=folded)
    except MergeConflict as conflict:
        refused = conflict
        merged = merge(sides, write=write, policies=_LENIENT, reducers=plan.reducers, folded=folded)
    except ReducerError as error:
        return Merged(sides[0].state), error
    if alone:
        return Merged(merged.state.collapsed(), merged.conflicts, merged.folded), refused
    return merged, refused


def final_state(plan: Plan, scheduler: Scheduler[State], start: State) -> Merged:
    """Return the merge of all branches of a scope, by the graph's policies.

    Raises:
        MergeConflict: A policy is ``fail``.
        ReducerError: Operations that meet cannot be folded.
    """
    sides = sides_of(plan, scheduler, start)
    return merge(sides, write="end", policies=plan.policies, reducers=plan.reducers)


def shown_state(plan: Plan, sides: Sequence[Side]) -> Merged:
    """Return the merge of a scope's live and ended states for people to look at: it never fails.

    Where policies refuse, the last write stands; where operations cannot be folded, the last branch is shown.
    """
    for policies in (plan.policies, _LENIENT):
        try:
            return merge(sides, write="end", policies=policies, reducers=plan.reducers)
        except MergeConflict:
            continue
        except ReducerError:
            break
    return Merged(sides[-1].state)


def sides_of(plan: Plan, scheduler: Scheduler[State], start: State) -> list[Side]:
    """Return the live and ended states of a scope, as they stand now."""
    return [Side(state, plan.nodes[node].id) for node, state in scheduler.states()] or [Side(start, "")]
