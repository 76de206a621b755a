"""Whether a failed attempt is followed by another, and when."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from graphwire.engine.policies.failure import (
    MAX_RETRY_AFTER_S,
    code_of,
    describe,
    is_for_good,
    names_of,
    retry_after_of,
)
from graphwire.engine.policies.retry import BLOCKED, Failed, RetryPolicy, covers, draw
from graphwire.errors import NodeTimeout, RoutingError
from graphwire.graphs.resilience import NEVER_RETRIED, Retry

FAILED = Failed("exception", frozenset({"exception", "ValueError"}))


def policy(**fields: Any) -> RetryPolicy:
    return RetryPolicy.of(Retry.model_validate(fields))


@st.composite
def retries(draw: st.DrawFn) -> Retry:
    delay_s = draw(st.floats(0, 86_400))
    longest = draw(st.none() | st.floats(delay_s, 86_400))
    fields: dict[str, Any] = {
        "max_attempts": draw(st.integers(1, 1_000)),
        "strategy": draw(st.sampled_from(["fixed", "linear", "exponential"])),
        "delay_s": delay_s,
        "multiplier": draw(st.floats(1, 100)),
        "jitter": draw(st.sampled_from(["full", "none"])),
    }
    if longest is not None:
        fields["max_delay_s"] = longest
    if draw(st.booleans()):
        fields["time_budget_s"] = draw(st.floats(0.001, 100_000))
    return Retry.model_validate(fields)


chance = st.floats(0, 1, exclude_max=True)
tries = st.integers(1, 1_000)
asked = st.none() | st.floats(0, MAX_RETRY_AFTER_S)


@given(retry=retries(), tries=tries, used_s=st.floats(0, 1e6), chance=chance, asked=asked)
@pytest.mark.capability("RES-05")
def test_a_wait_keeps_to_every_bound_of_its_policy(
    retry: Retry, tries: int, used_s: float, chance: float, asked: float | None
) -> None:
    failed = Failed("exception", frozenset({"exception"}), retry_after_s=asked)

    wait_s = RetryPolicy.of(retry).after(tries, failed, used_s=used_s, draw=chance)

    if wait_s is None:
        assert tries >= retry.max_attempts or retry.time_budget_s is not None
        return
    assert tries < retry.max_attempts
    assert 0 <= wait_s <= max(retry.longest_s, asked or 0)
    assert asked is None or wait_s >= asked
    assert retry.time_budget_s is None or used_s + wait_s <= retry.time_budget_s


@given(retry=retries(), first=tries, second=tries)
def test_later_waits_are_never_shorter_but_for_jitter(retry: Retry, first: int, second: int) -> None:
    chosen = RetryPolicy.of(retry)

    early, late = sorted([first, second])

    assert chosen.back_off_s(early) <= chosen.back_off_s(late)


@given(retry=retries(), tries=tries, chances=st.tuples(chance, chance))
def test_jitter_only_shortens_and_none_means_none(retry: Retry, tries: int, chances: tuple[float, float]) -> None:
    chosen = RetryPolicy.of(retry)

    waits = [chosen.after(tries, FAILED, used_s=0, draw=each) for each in chances]

    assert all(wait is None or wait <= chosen.back_off_s(tries) for wait in waits)
    if retry.jitter == "none" and retry.time_budget_s is None:
        assert waits[0] == waits[1]


@pytest.mark.capability("RES-05", "RES-06")
@pytest.mark.parametrize(
    ("fields", "waits"),
    [
        ({}, [1, 2, 4, None, None]),
        ({"max_attempts": 6}, [1, 2, 4, 8, 16]),
        ({"max_attempts": 6, "max_delay_s": 5}, [1, 2, 4, 5, 5]),
        ({"max_attempts": 6, "strategy": "fixed", "delay_s": 3}, [3, 3, 3, 3, 3]),
        ({"max_attempts": 6, "strategy": "linear", "delay_s": 0.5}, [0.5, 1, 1.5, 2, 2.5]),
        ({"max_attempts": 6, "multiplier": 100, "delay_s": 60}, [60, 60, 60, 60, 60]),
        ({"max_attempts": 1}, [None] * 5),
        ({"max_attempts": 6, "delay_s": 0}, [0, 0, 0, 0, 0]),
    ],
    ids=str,
)
def test_each_strategy_waits_as_the_documentation_says(fields: dict[str, Any], waits: list[float | None]) -> None:
    chosen = policy(jitter="none", **fields)

    assert [chosen.after(number, FAILED, used_s=0, draw=0.5) for number in range(1, 6)] == waits


@pytest.mark.parametrize("code", sorted(NEVER_RETRIED))
def test_what_lies_in_the_graph_or_its_state_is_never_retried(code: str) -> None:
    failed = Failed(code, frozenset({code, "RoutingError"}))

    assert not covers(None, failed)
    assert not covers({code, "RoutingError"}, failed)


@pytest.mark.parametrize(
    ("on", "error", "is_covered"),
    [
        (None, ValueError("x"), True),
        (None, NodeTimeout("x"), True),
        (None, SystemExit(3), False),
        (["timeout"], ValueError("x"), False),
        (["timeout"], NodeTimeout("x"), True),
        (["OSError"], ConnectionResetError("x"), True),
        (["builtins.OSError"], ConnectionResetError("x"), True),
        (["network"], ConnectionResetError("x"), True),
        (["ConnectionResetError"], ConnectionError("x"), False),
        (["Exception"], RoutingError("x"), False),
    ],
    ids=str,
)
def test_a_policy_means_failures_by_their_code_or_by_a_class_with_its_subclasses(
    on: list[str] | None, error: BaseException, is_covered: bool
) -> None:
    failed = Failed(code_of(error), names_of(error), is_for_good=is_for_good(error))

    assert covers(None if on is None else frozenset(on), failed) is is_covered


def test_a_blocked_attempt_is_retried_only_by_a_policy_that_names_it() -> None:
    failed = Failed(BLOCKED, frozenset({BLOCKED, "CircuitOpen", "NodeError"}))

    assert not covers(None, failed)
    assert covers({BLOCKED}, failed)


class Spoken(Exception):
    """What HTTP clients raise: it carries the response."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"status {status}")
        self.response = SimpleNamespace(status_code=status, headers=headers or {})


@pytest.mark.capability("RES-01", "RES-14")
@pytest.mark.parametrize(
    ("error", "code", "is_transient", "for_good"),
    [
        (ValueError("x"), "exception", False, False),
        (TimeoutError("x"), "timeout", True, False),
        (ConnectionRefusedError("x"), "network", True, False),
        (type("ConnectError", (type("TransportError", (Exception,), {}),), {})("x"), "network", True, False),
        (MemoryError("x"), "resource_exhaustion", False, False),
        (Spoken(429), "rate_limit", True, False),
        (Spoken(401), "authentication", False, True),
        (Spoken(403), "authentication", False, True),
        (Spoken(404), "exception", False, True),
        (Spoken(500), "service_unavailable", True, False),
        (Spoken(503), "service_unavailable", True, False),
        (RoutingError("x"), "routing_error", False, False),
        (type("Told", (Exception,), {"is_transient": True})("x"), "exception", True, False),
        (type("Told", (Exception,), {"is_transient": False})("x"), "exception", False, True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_exception_has_the_code_of_the_table_and_says_whether_it_may_pass(
    error: BaseException, code: str, is_transient: bool, for_good: bool
) -> None:
    failure = describe(error, node="n", activation="a", attempt=1)

    assert (failure.code, failure.is_transient) == (code, is_transient)
    assert is_for_good(error) is for_good


class Odd(Exception):
    """Whatever is asked of it fails."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")


NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (type("Told", (Exception,), {"retry_after_s": 2.5})("x"), 2.5),
        (type("Told", (Exception,), {"retry_after_s": 1e9})("x"), MAX_RETRY_AFTER_S),
        (type("Told", (Exception,), {"retry_after_s": -3})("x"), 0),
        (type("Told", (Exception,), {"retry_after_s": float("nan")})("x"), None),
        (type("Told", (Exception,), {"retry_after_s": True})("x"), None),
        (Spoken(503, {"Retry-After": "7"}), 7),
        (Spoken(503, {"retry-after": "7"}), 7),
        (Spoken(503, {"Retry-After": "9" * 400}), MAX_RETRY_AFTER_S),
        (Spoken(503, {"Retry-After": "Sat, 31 Jan 2026 12:01:30 GMT"}), 90),
        (Spoken(503, {"Retry-After": "Sat, 31 Jan 2026 11:00:00 GMT"}), 0),
        (Spoken(503, {"Retry-After": "Fri, 31 Dec 9999 23:59:59 -2359"}), MAX_RETRY_AFTER_S),
        (Spoken(503, {"Retry-After": "soon"}), None),
        (Spoken(503, {"Retry-After": "-1"}), None),
        (Spoken(503), None),
        (ValueError("x"), None),
        (Odd("x"), None),
    ],
    ids=str,
)
def test_what_an_upstream_asks_for_is_read_and_bounded(error: BaseException, seconds: float | None) -> None:
    assert retry_after_of(error, NOW) == seconds


@given(text=st.text())
def test_no_header_whatever_breaks_the_decision(text: str) -> None:
    seconds = retry_after_of(Spoken(503, {"Retry-After": text}), NOW)

    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_S


def test_an_exception_of_which_nothing_can_be_read_is_described_all_the_same() -> None:
    failure = describe(Odd("x"), node="n", activation="a", attempt=1)

    assert (failure.code, failure.is_transient) == ("exception", False)


@given(seed=st.integers(0, 1 << 64), activation=st.text(max_size=20), attempt=st.integers(1, 1_000))
def test_a_draw_follows_from_seed_activation_and_attempt(seed: int, activation: str, attempt: int) -> None:
    drawn = draw(seed, activation, attempt)

    assert 0 <= drawn < 1
    assert draw(seed, activation, attempt) == drawn
    assert draw(seed, activation, attempt + 1) != drawn
