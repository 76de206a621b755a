"""However an execution is steered while it goes on: nothing begins while it is paused, and it ends as any other."""

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import given, settings, strategies as st

from graphwire import GraphDefinition
from graphwire.engine.attempt import Phase
from graphwire.engine.breakpoints import Breakpoint, node_ids
from graphwire.engine.suspending import Interruption
from graphwire.events.encoding import decode_line
from tests.engine.running import check_laws
from tests.engine.test_ending_laws import MOVES, Stage, definitions


class SteeredStage(Stage):
    """A stage with somebody at the controls, whose nodes ask now and then. Steering ends with the first moves."""

    def __init__(self, definition: GraphDefinition, random: Random, *, in_order: bool) -> None:
        super().__init__(definition, random, in_order=in_order)
        self._left = MOVES // 4

    def _moves(self) -> list[Callable[[], None]]:
        execution, moves = self.execution, super()._moves()
        control, interrupts = execution.control, list(execution.suspending.interrupts)
        self._left -= 1
        if execution.end is not None:
            return moves
        if interrupts:
            name = self._random.choice(interrupts)
            moves.append(lambda: execution.suspending.answer(name, b"1"))
            moves.append(lambda: execution.suspending.expire(name))
        if execution.status in ("pausing", "paused") and control.reason != "waiting_for_input":
            moves.append(control.resume)
        if execution.status == "paused" and execution.ready and self._left > 0:
            mode: Any = self._random.choice(["over", "into", "out"])
            moves += [lambda: control.step(mode)] * 3
        if execution.status == "running" and self._left > 0 and self._random.random() < 0.2:
            moves += [control.pause, self._break]
        return moves

    def _break(self) -> None:
        names = list(node_ids(self.execution.plan))
        some = self._random.sample(names, min(len(names), self._random.randrange(3)))
        when: Any = self._random.choice(["before", "after"])
        hits = self._random.choice([None, 2])
        self.execution.control.set_breakpoints([Breakpoint(name, when, hits=hits) for name in some])

    def _finish(self) -> None:
        if self._left > 0 and self._random.random() < 0.3:
            attempt = self._flying.pop(self._random.randrange(len(self._flying)))
            if attempt in self._interrupted:
                self._interrupted.remove(attempt)
            self.execution.finish(attempt, error=Interruption(b"1", None, None))
        else:
            super()._finish()

    def _wake(self) -> None:
        sleeping = [attempt for attempt in self._timed if attempt.phase is Phase.SLEEPING]
        if sleeping and self._random.random() < 0.7:
            attempt = self._random.choice(sleeping)
            self._timed.remove(attempt)
            self.execution.slept(attempt)
        elif self.execution.status == "paused":
            waiting = [attempt for attempt in self._timed if attempt.phase is Phase.WAITING]
            if waiting:
                self._timed.remove(waiting[0])
                self.execution.retrying.wake(waiting[0])
        else:
            super()._wake()


@settings(max_examples=400)
@given(definition=definitions(), seed=st.integers(0, 1 << 30), in_order=st.booleans())
def test_an_execution_that_is_steered_begins_nothing_while_it_is_paused_and_ends_once(
    definition: GraphDefinition, seed: int, in_order: bool
) -> None:
    stage = SteeredStage(definition, Random(seed), in_order=in_order)

    stage.play()

    events = [decode_line(each.line) for each in stage.hub.take_unstored(1 << 60)]
    check_laws(events)
    is_paused = False
    for event in events:
        match event.type:
            case "execution_paused":
                assert not is_paused
                is_paused = True
            case "execution_resumed":
                is_paused = False
            case "node_started" | "node_completed" | "node_failed" | "node_suspended":
                assert not is_paused, "something happened while it was paused"
