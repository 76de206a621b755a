"""Child scopes: an attempt opens them, takes what they came to, and ends when none is open and none is due."""

from typing import TYPE_CHECKING

from msgspec.structs import replace

from graphwire.engine.attempt import Attempt, Outcome, Phase, Scope
from graphwire.engine.ending import Endings
from graphwire.engine.opened import Due, opened_by
from graphwire.engine.policies.failure import describe
from graphwire.engine.report import Reporter, path_of
from graphwire.errors import NodeError
from graphwire.events import types
from graphwire.events.types import Failure
from graphwire.graphs.behaviour import Opens

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution

PROGRESS_STEPS = 20
"""An opener tells its progress so many times, whatever the number of its scopes."""


class Openers:
    """The open attempts of one execution. An open attempt holds no slot.

    Attributes:
        is_restoring: The records of what happened are being repeated: what becomes of an open attempt when its scopes
            are over has a record of its own, or is left to ``settle``.
    """

    def __init__(self, execution: "Execution", endings: Endings, reporter: Reporter | None) -> None:
        self.is_restoring = False
        self._execution = execution
        self._endings = endings
        self._report = reporter

    def open(self, attempt: Attempt, behaviour: Opens) -> Outcome | None:
        """Open the first scopes of an attempt that begins; return what it comes to where there are none."""
        attempt.phase = Phase.OPEN
        try:
            opened = opened_by(attempt.node, behaviour, attempt.state)
            first = opened.due()
        except NodeError as error:
            return Outcome(error=error)
        if first is None:
            return Outcome(opened.nothing)
        self._execution.leave_order(attempt)
        attempt.opened = opened
        self._execution.performer.arm(attempt)
        self._open(attempt, first)
        self._go_on(attempt)
        return None

    def settle(self, opener: Attempt) -> None:
        """Do what was left to do with an open attempt when it was restored."""
        opened = opener.opened
        assert opened is not None
        if opened.scopes:
            return
        if opened.failure is not None:
            self._opener_ends(opener, opened.failure)
        else:
            self._go_on(opener)

    def _open(self, opener: Attempt, due: Due) -> None:
        plan, opened = opener.node.body, opener.opened
        assert plan is not None
        assert opened is not None
        name = f"{opener.activation.id}/{opener.number}/{due.number}"
        scope = Scope.open(plan, plan.entries, name, due.start)
        scope.opener, scope.index, scope.path = opener, due.number, path_of(opener, due.step)
        if not opened.counts_steps:
            scope.counted = opener.scope.counted
        opened.scopes[scope] = None
        self._execution.add(scope, scope.scheduler.start(scope.start))

    def _go_on(self, opener: Attempt) -> None:
        """Open what is due, and end the attempt when nothing is left."""
        opened = opener.opened
        assert opened is not None
        try:
            while (due := opened.due()) is not None:
                self._open(opener, due)
            if opened.scopes or self.is_restoring:
                return
            update, result = opened.outcome()
        except NodeError as error:
            self.fail(opener, _failure(error, opener))
            return
        opener.ended_ns = self._execution.now_ns()
        self._execution.succeed(opener, update, result, None)

    def scope_done(self, scope: Scope) -> None:
        """A scope is quiescent: keep what it came to and open the next."""
        opener = scope.opener
        assert opener is not None
        assert opener.opened is not None
        try:
            opener.opened.take(scope, self._endings.final)
        except NodeError as error:
            self._execution.fail_scope(scope, _failure(error, opener))
            return
        self._scope_over(scope)

    def scope_fails(self, scope: Scope, failure: Failure) -> None:
        """A scope is ending with an error: unless that is something that it came to, the opener fails with it."""
        opener = scope.opener
        assert opener is not None
        assert opener.opened is not None
        if not opener.opened.collects():
            self.fail(opener, failure)

    def scope_closed(self, scope: Scope) -> None:
        """Of a scope that is being ended an attempt was closed: when it was the last, the scope is over."""
        opener = scope.opener
        if scope.attempts or opener is None or opener.opened is None or scope not in opener.opened.scopes:
            return
        if opener.reason is not None:  # it is being ended itself
            del opener.opened.scopes[scope]
            if not opener.opened.scopes:
                self._execution.closing.close(opener)
            return
        assert scope.failure is not None
        if opener.opened.failure is None:
            if not opener.opened.collects():
                return  # the opener is told in a moment: `scope_fails`, and then this again
            opener.opened.take_failure(scope, scope.failure)
        self._scope_over(scope)

    def _scope_over(self, scope: Scope) -> None:
        opener = scope.opener
        assert opener is not None
        opened = opener.opened
        assert opened is not None
        del opened.scopes[scope]
        if opened.failure is not None:
            if not opened.scopes:
                self._opener_ends(opener, opened.failure)
            return
        if self._report is not None and (counted := opened.counted) is not None:
            done, total = counted
            if done % max(1, total // PROGRESS_STEPS) == 0 or done == total:
                self._report.node(opener, types.NodeProgress(completed=done, total=total))
        self._go_on(opener)

    def fail(self, opener: Attempt, failure: Failure) -> None:
        """Fail an open attempt: its scopes are ended first."""
        opened = opener.opened
        assert opened is not None
        if opened.failure is not None or opener.reason is not None:
            return
        opened.failure = failure
        for scope in list(opened.scopes):
            if scope.failure is None:
                scope.failure = failure
                self._execution.closing.clear(scope, "another item failed")
                self.scope_closed(scope)
        if not opened.scopes and opener.phase is Phase.OPEN:
            self._opener_ends(opener, failure)

    def _opener_ends(self, opener: Attempt, failure: Failure) -> None:
        if self.is_restoring:
            return
        opener.ended_ns = self._execution.now_ns()
        own = replace(failure, node=opener.node.id, activation=opener.activation.id, attempt=opener.number)
        self._execution.failing.fail(opener, own)


def _failure(error: NodeError, opener: Attempt) -> Failure:
    return describe(error, node=opener.node.id, activation=opener.activation.id, attempt=opener.number)
