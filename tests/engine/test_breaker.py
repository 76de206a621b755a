"""Circuit breakers and quarantines as state machines of their own."""

from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from graphwire.clock import FakeClock
from graphwire.engine.guards import KEPT, Guards
from graphwire.engine.policies.breaker import Blocked, Breaker, Permit
from graphwire.engine.policies.quarantine import Isolation
from graphwire.graphs.resilience import CircuitBreaker, Quarantine


def entered(breaker: Breaker, now_s: float) -> Permit:
    found, _ = breaker.enter(now_s)
    assert isinstance(found, Permit)
    return found


def blocked(breaker: Breaker, now_s: float) -> Blocked:
    found, _ = breaker.enter(now_s)
    assert isinstance(found, Blocked)
    return found


def state(breaker: Breaker) -> str:
    return breaker.state


def failing(breaker: Breaker, *times_s: float) -> None:
    for now_s in times_s:
        breaker.fail(entered(breaker, now_s), now_s)


@pytest.mark.capability("RES-08")
class BreakerMachine(RuleBasedStateMachine):
    """A breaker against the sentences of its documentation."""

    @initialize(
        threshold=st.integers(1, 4), window=st.integers(1, 20), opens=st.integers(1, 20), tests=st.integers(1, 3)
    )
    def make(self, threshold: int, window: int, opens: int, tests: int) -> None:
        self.settings = CircuitBreaker(
            failure_threshold=threshold, window_s=window, open_s=opens, half_open_attempts=tests
        )
        self.breaker = Breaker(self.settings)
        self.now_s = 0.0
        self.held: list[Permit] = []
        self.failures: list[float] = []
        self.opened_at = 0.0

    def changed(self, old: str, change: Any) -> None:
        assert (change is None) == (old == self.breaker.state)
        if change is not None:
            assert (change.old, change.new) == (old, self.breaker.state)
            assert change in {("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed")}
        if self.breaker.state == "open" and old != "open":
            self.opened_at = self.now_s
        if self.breaker.state == "closed" and old != "closed":
            self.failures.clear()

    @rule(seconds=st.integers(0, 25))
    def wait(self, seconds: int) -> None:
        self.now_s += seconds

    @rule()
    def enter(self) -> None:
        old = self.breaker.state

        found, change = self.breaker.enter(self.now_s)

        self.changed(old, change)
        if isinstance(found, Blocked):
            assert old != "closed"
            if old == "open":
                assert 0 < found.retry_after_s <= self.settings.open_s
                assert self.now_s < self.opened_at + self.settings.open_s
            return
        assert self.breaker.state != "open"
        assert found.is_test == (self.breaker.state == "half_open")
        self.held.append(found)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        permit = self.take(data)
        old = self.breaker.state

        change = self.breaker.succeed(permit)

        self.changed(old, change)
        if change is not None:
            assert change.new == "closed"
            assert permit.is_test

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        permit = self.take(data)
        old = self.breaker.state
        counted = self.breaker.failure_count(self.now_s)

        change = self.breaker.fail(permit, self.now_s)

        self.changed(old, change)
        if change is not None:
            assert change.new == "open"
            assert permit.is_test or counted + 1 >= self.settings.failure_threshold

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        old = self.breaker.state

        self.breaker.release(self.take(data))

        assert self.breaker.state == old

    def take(self, data: st.DataObject) -> Permit:
        return self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))

    @invariant()
    def never_more_tests_than_allowed(self) -> None:
        if hasattr(self, "breaker"):
            tests = [permit for permit in self.held if permit.is_test and permit.round == self.breaker._round]
            assert len(tests) <= self.settings.half_open_attempts
            assert self.breaker.failure_count(self.now_s) <= self.settings.failure_threshold

    @invariant()
    def it_is_never_stuck(self) -> None:
        """Whatever happened: when its time is over and nothing is held, it lets an attempt through."""
        if hasattr(self, "breaker") and not self.held:
            later = self.now_s + self.settings.open_s
            copy = Breaker(self.settings)
            copy.__dict__.update(self.breaker.__dict__)
            assert isinstance(copy.enter(later)[0], Permit)


BreakerMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
TestBreaker = BreakerMachine.TestCase


def test_failures_within_the_window_open_it_and_older_ones_do_not_count() -> None:
    breaker = Breaker(CircuitBreaker(failure_threshold=3, window_s=10))

    failing(breaker, 0, 1, 11.5)
    assert state(breaker) == "closed"
    failing(breaker, 12, 12.5)

    assert state(breaker) == "open"
    assert blocked(breaker, 13).retry_after_s == 29.5


def test_all_tests_have_to_succeed_before_it_closes_and_one_that_fails_opens_it() -> None:
    breaker = Breaker(CircuitBreaker(failure_threshold=1, open_s=30, half_open_attempts=2))
    failing(breaker, 0)

    first, second = entered(breaker, 30), entered(breaker, 30)
    assert blocked(breaker, 30)
    breaker.succeed(first)
    assert state(breaker) == "half_open"
    breaker.fail(second, 31)
    assert state(breaker) == "open"
    third, fourth = entered(breaker, 61), entered(breaker, 61)
    breaker.succeed(third)
    breaker.succeed(fourth)

    assert state(breaker) == "closed"
    assert breaker.is_idle(61)


def test_what_began_before_it_opened_tells_nothing_of_its_tests() -> None:
    breaker = Breaker(CircuitBreaker(failure_threshold=1, open_s=30, half_open_attempts=1))
    early, late = entered(breaker, 0), entered(breaker, 0)
    failing(breaker, 0)
    test = entered(breaker, 30)

    breaker.succeed(early)
    breaker.fail(late, 31)
    assert state(breaker) == "half_open"
    breaker.succeed(test)

    assert state(breaker) == "closed"


@pytest.mark.capability("RES-16")
def test_a_quarantine_begins_with_failures_in_a_row_and_one_success_clears_it() -> None:
    isolation = Isolation(Quarantine(failures=3, duration_s=60))

    assert [isolation.fail(0), isolation.fail(1)] == [False, False]
    assert isolation.succeed() is None
    assert [isolation.fail(2), isolation.fail(3), isolation.fail(4)] == [False, False, True]
    assert isolation.left_s(10) == 54
    assert isolation.enter(64) == "expired"
    assert isolation.fail(65)
    assert isolation.succeed() == "succeeded"
    assert isolation.is_idle


def test_what_nothing_is_known_of_is_not_kept_for_ever() -> None:
    clock = FakeClock()
    guards = Guards(clock)
    settings_ = CircuitBreaker(failure_threshold=2)
    known = guards.breaker("known", settings_)
    known.fail(entered(known, guards.now_s()), guards.now_s())

    for number in range(KEPT):
        guards.breaker(f"b{number}", settings_)

    assert guards.breaker("known", settings_) is known
    assert len(guards._breakers) < 10
