import pytest
from hypothesis import given, strategies as st

from graphwire.client.backoff import Backoff, Retry


def test_waits_double_up_to_their_bound() -> None:
    backoff = Backoff(Retry(attempts=8), lambda: 0.999_999)

    waits = [backoff.next() for _ in range(8)]

    assert [round(wait or 0) for wait in waits] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert backoff.next() is None


@pytest.mark.capability("CLN-03")
def test_a_stream_that_works_begins_anew() -> None:
    backoff = Backoff(Retry(attempts=3), lambda: 0.5)
    assert [backoff.next() for _ in range(4)] == [0.5, 1.0, 2.0, None]

    backoff.reset()

    assert (backoff.next(), backoff.attempt) == (0.5, 1)


def test_the_service_is_never_asked_sooner_than_it_wants() -> None:
    backoff = Backoff(Retry(), lambda: 0.5)

    assert backoff.next(7.0) == 7.5  # and not all clients at once
    assert backoff.next(0.1) == 1.1


def test_a_service_that_wants_too_long_a_wait_is_given_up() -> None:
    assert Backoff(Retry(longest_wished_s=60), lambda: 0.5).next(61.0) is None


def test_retry_of_an_event_stream_is_the_bound_of_the_first_wait() -> None:
    backoff = Backoff(Retry(), lambda: 0.5)

    backoff.suggest(4.0)
    assert (backoff.next(), backoff.next()) == (2.0, 4.0)

    backoff.reset()
    backoff.suggest(1e9)
    assert backoff.next() == 15.0


@given(
    wishes=st.lists(st.none() | st.floats(0, 200), max_size=50),
    random=st.floats(0, 1, exclude_max=True),
    most_s=st.floats(1, 100),
)
def test_no_wait_is_longer_than_the_bound_or_the_wish(wishes: list[float | None], random: float, most_s: float) -> None:
    backoff = Backoff(Retry(attempts=None, most_s=most_s), lambda: random)

    for wish in wishes:
        wait = backoff.next(wish)
        assert wait is not None
        assert (wish or 0) <= wait <= most_s + (wish or 0)
