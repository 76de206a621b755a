import pytest
from hypothesis import given, strategies as st

from graphwire.client.batching import Batching


def batches(times: list[float], n: int, max_wait_s: float) -> list[tuple[float, list[float]]]:
    """Deliver items that come at these times, as ``Events.batches`` does; return each batch with its time."""
    batching = Batching[float](n, max_wait_s)
    waiting, given_out, now = sorted(times), [], 0.0
    while True:
        patience = batching.patience(now)
        limit = float("inf") if patience is None else now + patience
        if waiting and waiting[0] <= limit:
            item = waiting.pop(0)
            now = max(now, item)
            if (batch := batching.add(item, now)) is not None:
                given_out.append((now, batch))
        elif patience is None:
            return given_out
        elif not waiting:
            given_out.append((now, batching.flush()))
        else:
            now = limit
            given_out.append((now, batching.flush()))


@given(
    gaps=st.lists(st.floats(0, 0.5), max_size=80),
    n=st.integers(1, 20),
    max_wait_s=st.floats(0, 0.3),
)
def test_every_item_is_given_out_once_in_order_and_in_time(gaps: list[float], n: int, max_wait_s: float) -> None:
    times = [sum(gaps[: index + 1]) for index in range(len(gaps))]

    found = batches(times, n, max_wait_s)

    assert [item for _, batch in found for item in batch] == times
    assert all(1 <= len(batch) <= n for _, batch in found)
    assert all(at - item <= max_wait_s + 1e-9 for at, batch in found for item in batch)


@pytest.mark.capability("HUB-16")
def test_batches_grow_with_throughput() -> None:
    slow = batches([index / 10 for index in range(50)], n=50, max_wait_s=0.1)
    fast = batches([index / 10_000 for index in range(5_000)], n=50, max_wait_s=0.1)

    assert {len(batch) for _, batch in slow[3:]} == {1}
    assert all(at == batch[0] for at, batch in slow)
    assert [len(batch) for _, batch in fast[5:-1]] == [50] * (len(fast) - 6)


def test_a_long_silence_makes_the_next_burst_no_smaller_for_long() -> None:
    times = [index / 1_000 for index in range(200)] + [3_600 + index / 1_000 for index in range(200)]

    found = batches(times, n=50, max_wait_s=0.1)

    assert sum(1 for at, batch in found if at >= 3_600 and len(batch) < 10) <= 20


@pytest.mark.parametrize(("n", "max_wait_s"), [(0, 1.0), (1, -1.0)])
def test_a_batch_of_nothing_is_wrong_use(n: int, max_wait_s: float) -> None:
    with pytest.raises(ValueError, match="batch"):
        Batching[int](n, max_wait_s)
