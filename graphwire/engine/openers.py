"""Child scopes: a ``foreach`` opens one for each item, a few at a time, and takes their results."""

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from graphwire.engine.attempt import Attempt, Items, Phase, Scope
from graphwire.engine.ending import Endings
from graphwire.engine.policies.failure import describe
from graphwire.engine.report import Reporter, path_of
from graphwire.engine.results import kind_of
from graphwire.errors import InputError, NodeError
from graphwire.events import types
from graphwire.events.types import Failure
from graphwire.graphs.behaviour import ForEach
from graphwire.values import freeze

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution

PROGRESS_STEPS = 20
"""An opener tells its progress so many times, whatever the number of its items."""
_ENCODER = msgspec.json.Encoder()


class Openers:
    """The open attempts of one execution. An open attempt holds no slot."""

    def __init__(self, execution: "Execution", endings: Endings, reporter: Reporter | None) -> None:
        self._execution = execution
        self._endings = endings
        self._report = reporter

    def open(self, attempt: Attempt, behaviour: ForEach) -> None:
        attempt.phase = Phase.OPEN
        try:
            values = behaviour.items.evaluate({"state": attempt.state.view()})
            if not isinstance(values, list):
                raise InputError(f"items is {kind_of(values)}, not a list")
        except NodeError as error:
            refused = error if isinstance(error, InputError) else InputError(f"items: {error.detail}")
            self._execution.finish(attempt, error=refused)
            return
        if not values:
            self._execution.finish(attempt, values)
            return
        self._execution.leave_order(attempt)
        attempt.items = Items(values)
        self._execution.performer.arm(attempt)
        self._open_more(attempt)

    def _open_more(self, opener: Attempt) -> None:
        items, behaviour, plan = opener.items, opener.node.behaviour, opener.node.body
        assert items is not None
        assert plan is not None
        assert isinstance(behaviour, ForEach)
        while items.following < len(items.values) and len(items.scopes) < behaviour.max_parallelism:
            index = items.following
            items.following += 1
            extra = {behaviour.item: freeze(items.values[index]), behaviour.index: b"%d" % index}
            name = f"{opener.activation.id}/{opener.number}/{index}"
            scope = Scope.open(plan, plan.entries, name, opener.state.child({**plan.initial, **extra}))
            scope.opener, scope.index, scope.path = opener, index, path_of(opener, index)
            items.scopes[scope] = None
            self._execution.add(scope, scope.scheduler.start(scope.start))

    def item_done(self, scope: Scope) -> None:
        """An item's scope is quiescent: keep its result and open the next."""
        opener = scope.opener
        assert opener is not None
        assert isinstance(opener.node.behaviour, ForEach)
        try:
            result = scope.result if opener.node.behaviour.single else self._endings.written(scope)
        except NodeError as error:
            self._execution.fail_scope(
                scope, describe(error, node=opener.node.id, activation=opener.activation.id, attempt=opener.number)
            )
            return
        self._item_closed(scope, result)

    def item_fails(self, scope: Scope, failure: Failure) -> None:
        """An item's scope is ending with an error: unless errors are collected, the opener fails with it."""
        opener = scope.opener
        assert opener is not None
        assert isinstance(opener.node.behaviour, ForEach)
        if not opener.node.behaviour.collect:
            self.fail(opener, failure)

    def scope_closed(self, scope: Scope) -> None:
        """Of a scope that is being ended an attempt was closed: when it was the last, the item is over."""
        opener = scope.opener
        if scope.attempts or opener is None or opener.items is None or scope not in opener.items.scopes:
            return
        if opener.reason is not None:  # it is being ended itself
            del opener.items.scopes[scope]
            if not opener.items.scopes:
                self._execution.closing.close(opener)
            return
        assert scope.failure is not None
        self._item_closed(scope, _ENCODER.encode(scope.failure))

    def _item_closed(self, scope: Scope, result: bytes) -> None:
        opener = scope.opener
        assert opener is not None
        items = opener.items
        assert items is not None
        del items.scopes[scope]
        if items.failure is not None:
            if not items.scopes:
                self._opener_ends(opener, items.failure)
            return
        items.results[scope.index] = result
        items.done += 1
        total = len(items.values)
        if self._report is not None and (items.done % max(1, total // PROGRESS_STEPS) == 0 or items.done == total):
            self._report.node(opener, types.NodeProgress(completed=items.done, total=total))
        if items.done == total:
            self._items_done(opener)
        else:
            self._open_more(opener)

    def _items_done(self, opener: Attempt) -> None:
        assert opener.items is not None
        opener.ended_ns = self._execution.now_ns()
        result = b"[" + b",".join(opener.items.results) + b"]"
        self._execution.succeed(opener, {opener.node.output: result}, result, None)

    def fail(self, opener: Attempt, failure: Failure) -> None:
        """Fail an open attempt: its scopes are ended first."""
        items = opener.items
        assert items is not None
        if items.failure is not None or opener.reason is not None:
            return
        items.failure = failure
        for scope in list(items.scopes):
            if scope.failure is None:
                scope.failure = failure
                self._execution.closing.clear(scope, "another item failed")
                self.scope_closed(scope)
        if not items.scopes and opener.phase is Phase.OPEN:
            self._opener_ends(opener, failure)

    def _opener_ends(self, opener: Attempt, failure: Failure) -> None:
        opener.ended_ns = self._execution.now_ns()
        own = replace(failure, node=opener.node.id, activation=opener.activation.id, attempt=opener.number)
        self._execution.failing.fail(opener, own)
