"""``ordering: deterministic``: results are committed in the order of dispatch, as a processor retires instructions."""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphwire.engine.attempt import RUNNING, Attempt, Outcome, lives
from graphwire.engine.performing import Gate, Performer

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution

MAX_COMMITS_AT_ONCE = 100
"""Before others get their turn."""


class InOrder:
    """Dispatches and commits so that nothing depends on when a lane is free.

    Attributes:
        attempts: Begun and not committed, in dispatch order; those that opened scopes have left.
        dispatched: Those of them that no lane has taken yet.
        speaker: Whose turn to speak it is or was: the newest that came to the head while it was not being ended.
    """

    def __init__(self, execution: "Execution", performer: Performer, gate: Gate | None) -> None:
        self.attempts: deque[Attempt] = deque()
        self.dispatched: deque[Attempt] = deque()
        self.speaker: Attempt | None = None
        self._kept = 0
        self._execution = execution
        self._performer = performer
        self._gate = gate
        self._is_advancing = False

    def advance(self) -> None:
        """Dispatch what may begin, commit the head, and so on."""
        if self._is_advancing:
            return
        self._is_advancing = True
        execution, attempts = self._execution, self.attempts
        for _ in range(MAX_COMMITS_AT_ONCE):
            self._dispatch()
            if not attempts:
                break
            head = attempts[0]
            if execution.end is None and head.scope.failure is None:
                self._let_speak(head)
            if head.outcome is None:
                break
            attempts.popleft()
            self._end(head, head.outcome)
        else:
            self._performer.call_soon(execution.go_on)
        self._is_advancing = False

    def begun(self, attempt: Attempt) -> None:
        """An attempt begins."""
        if attempt.again is None:
            self.attempts.append(attempt)
        elif attempt.node.needs_slot:
            self._kept -= 1

    def keep(self, attempt: Attempt) -> None:
        """A retry waits: it keeps the place and the slot of the attempt before.

        Those behind give theirs back only when it has committed, so it would never get another one.
        """
        self.attempts.appendleft(attempt)
        if attempt.node.needs_slot:
            self._kept += 1

    def forget(self, attempt: Attempt) -> None:
        """A retry is ended before it has begun."""
        self.attempts.remove(attempt)
        if attempt.node.needs_slot:
            self._kept -= 1

    def is_committed(self) -> bool:
        """Whether nothing that has ended waits for its turn."""
        return all(attempt.outcome is None for attempt in self.attempts)

    def _dispatch(self) -> None:
        execution, gate = self._execution, self._gate
        while execution.ready and self.has_slot(execution.ready[0]) and (gate is None or gate.is_open()):
            attempt = execution.ready.popleft() if execution.steered is None else execution.steered.pop()
            if attempt is None:
                break
            if execution.begin(attempt):
                self.dispatched.append(attempt)

    def has_slot(self, attempt: Attempt) -> bool:
        """Whether the next one may begin."""
        return self._execution.running + self._kept < self._execution.slots or self._has_kept(attempt)

    def _has_kept(self, attempt: Attempt) -> bool:
        return attempt.again is not None and not attempt.started_ns

    def take_places(self, attempts: Sequence[Attempt]) -> None:
        """Give these their places again, in this order, and begin those that have none, as far as their scopes live."""
        placed, following = set(self.attempts), list(self.attempts)
        again = [attempt for attempt in attempts if attempt not in placed and lives(attempt.scope)]
        kept = placed.union(again)
        self.attempts.clear()
        for attempt in attempts:
            if attempt in placed:
                self.attempts.append(attempt)
            elif attempt in kept and self._execution.begin(attempt):
                self.dispatched.append(attempt)
        self.attempts.extend(attempt for attempt in following if attempt not in attempts)

    def _let_speak(self, attempt: Attempt) -> None:
        self.speaker = attempt
        self._execution.emissions.release(attempt)
        if attempt.on_turn is not None:
            on_turn, attempt.on_turn = attempt.on_turn, None
            on_turn()

    def _end(self, attempt: Attempt, outcome: Outcome) -> None:
        execution = self._execution
        attempt.outcome = None
        if attempt.phase is RUNNING:
            execution.running -= 1
        if outcome.is_cancelled or execution.end is not None or attempt.scope.failure is not None:
            if attempt is not self.speaker:  # how far it came is a matter of timing
                attempt.held, attempt.dropped = None, 0
            execution.closing.close(attempt)
        else:
            execution.commit(attempt, outcome.value, outcome.error)
