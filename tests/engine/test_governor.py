"""How fast nodes begin when the machine is busy."""

import pytest
from hypothesis import given, settings, strategies as st

from graphwire.engine.policies.governor import PRESETS, Governor, Lease, Options, Waiter, charge
from graphwire.types import Priority

PRIORITIES: list[Priority] = ["low", "normal", "high", "critical"]
STEPS = ["ask", "release", "cancel", "give back", "load"]


@pytest.mark.capability("GOV-01")
def test_the_defaults_are_the_documented_ones() -> None:
    assert Options() == Options(cpu_percent=85, cpu_soft_percent=70, memory_mb=512, rate=50, burst=100)
    with pytest.raises(ValueError, match="lower limit"):
        Options(cpu_percent=60, cpu_soft_percent=70)


@pytest.mark.capability("GOV-10")
@pytest.mark.parametrize(
    ("name", "rate", "burst", "cpu", "memory"),
    [("development", 200, 500, 95, 256), ("production", 50, 100, 80, 2_048), ("performance", 1_000, 2_000, 98, 128)],
)
def test_a_preset_is_what_is_listed(name: str, rate: float, burst: float, cpu: float, memory: float) -> None:
    options = PRESETS[name]

    assert (options.rate, options.burst, options.cpu_percent, options.memory_mb) == (rate, burst, cpu, memory)
    assert PRESETS["production"].cpu_soft_percent == 65


@pytest.mark.capability("SCH-10")
@pytest.mark.parametrize(
    ("cost", "priority", "permits"),
    [(1, "critical", 0.5), (1, "high", 0.6), (1, "normal", 1), (1, "low", 1.5), (0, "low", 0.5), (10, "critical", 5)],
)
def test_a_cost_is_weighed_by_priority_and_never_below_a_half(cost: float, priority: Priority, permits: float) -> None:
    assert charge(cost, priority) == permits


@pytest.mark.capability("GOV-03")
def test_300_nodes_take_4_seconds() -> None:
    governor, now, done = Governor(Options(), 0.0), 0.0, 0
    while done < 300:
        lease = governor.take(1, "normal", now)
        if lease is None:
            now += 0.001
        else:
            lease.release()
            done += 1

    assert now == pytest.approx(4.0, rel=0.05)


@pytest.mark.capability("GOV-04")
@pytest.mark.parametrize(("cpu", "rate"), [(60, 50), (70, 50), (77.5, 27.5), (75, 35), (85, 5), (90, 5)])
def test_the_rate_falls_with_the_load_of_the_cpu(cpu: float, rate: float) -> None:
    governor = Governor(Options(), 0.0)
    governor.measured(cpu, None, 0.0)

    assert governor.rate == pytest.approx(rate)
    assert (governor.take(1, "high", 0.0) is None) == (cpu >= 85)
    assert governor.take(1, "critical", 0.0) is not None


@pytest.mark.capability("GOV-05")
def test_little_memory_lets_only_what_is_critical_begin() -> None:
    governor = Governor(Options(), 0.0)
    governor.measured(None, 511, 0.0)
    assert governor.take(1, "normal", 0.0) is None
    assert governor.take(1, "critical", 0.0) is not None

    governor.measured(None, 513, 0.0)
    assert governor.take(1, "normal", 0.0) is not None
    assert governor.take(1, "critical", 0.0) is not None


@pytest.mark.capability("GOV-06")
def test_those_who_wait_are_served_by_priority_without_the_one_that_left() -> None:
    governor, served = Governor(Options(burst=1), 0.0), list[str]()
    assert governor.take(1, "normal", 0.0) is not None

    def waits(name: str, priority: Priority) -> Waiter:
        return governor.wait(1, priority, 0.0, lambda lease: served.append(name if lease else f"not {name}"))

    waits("low", "low")
    waits("normal", "normal")
    gone = waits("gone", "critical")
    waits("critical", "critical")
    governor.cancel(gone)
    governor.cancel(gone)
    now = 0.0
    while (wait_s := governor.serve(now)) is not None:
        now += wait_s

    assert served == ["critical", "normal", "low"]


@pytest.mark.capability("GOV-06")
def test_who_has_waited_too_long_is_told() -> None:
    governor, told = Governor(Options(rate=0.001, burst=1, max_wait_s=5), 0.0), list[Lease | None]()
    assert governor.take(1, "normal", 0.0) is not None
    governor.wait(1, "normal", 0.0, told.append)

    governor.serve(4.9)
    assert told == []
    governor.serve(5.0)
    assert told == [None]
    assert governor.counts() == {}


@pytest.mark.capability("GOV-02")
@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 99)), max_size=200))
def test_nothing_leaks_whatever_is_cancelled(steps: list[tuple[str, int]]) -> None:
    governor, now = Governor(Options(rate=5, burst=3, max_wait_s=20), 0.0), 0.0
    held: list[Lease] = []
    waiting: list[Waiter] = []

    def told(lease: Lease | None) -> None:
        if lease is not None:
            held.append(lease)

    for what, number in steps:
        now += number / 50
        if what == "ask":
            priority = PRIORITIES[number % 4]
            lease = governor.take(number % 7, priority, now)
            if lease is not None:
                held.append(lease)
            else:
                waiting.append(governor.wait(number % 7, priority, now, told))
        elif what == "load":
            governor.measured(float(number), None, now)
        elif what == "cancel" and waiting:
            governor.cancel(waiting.pop(number % len(waiting)))
        elif held:
            lease = held.pop(number % len(held))
            (lease.release if what == "release" else lease.give_back)()
            lease.release()
        governor.serve(now)
        assert governor.held == len(held)
        assert -1e-6 <= governor.tokens(now) <= 3 + 1e-6
    for waiter in waiting:
        governor.cancel(waiter)
    for lease in held:
        lease.release()
    assert (governor.held, governor.counts(), governor.serve(now)) == (0, {}, None)
