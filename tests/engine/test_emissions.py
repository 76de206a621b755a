"""What is held until its turn: published once, and bounded."""

from types import SimpleNamespace
from typing import Any

import pytest

from graphwire.engine.attempt import Attempt, Outcome, Phase
from graphwire.engine.emissions import MAX_HELD_BYTES, Emissions
from graphwire.events.types import EventsDropped, LlmChunk


class Told:
    """A reporter that keeps what it is told, and may refuse it."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.is_broken = False

    def node(self, attempt: Attempt, event: Any) -> None:
        self.events.append(event)
        if self.is_broken:
            raise OSError("no")


def running() -> Attempt:
    some: Any = SimpleNamespace(failure=None)
    return Attempt(some, some, some, some, phase=Phase.RUNNING)


def said(text: str) -> LlmChunk:
    return LlmChunk(stream_id="s", text=text, is_final=False)


class Speaker:
    """Says whose turn it is."""

    def __init__(self, speaker: Attempt | None) -> None:
        self.speaker = speaker


def emissions(told: Any, order: Speaker | None, limit: int = 1_000) -> Emissions:
    return Emissions(told, order, limit)


def test_what_is_held_is_published_once_even_if_publishing_fails() -> None:
    first, second, told = running(), running(), Told()
    held = emissions(told, Speaker(first))
    held.emit(second, said("a"), 10)

    told.is_broken = True
    with pytest.raises(OSError, match="no"):
        held.release(second)
    told.is_broken = False
    held.release(second)
    held.close(second)

    assert told.events == [said("a")]
    assert second.held_bytes == 0


def test_there_is_room_up_to_the_bound_and_at_the_attempts_turn_always() -> None:
    first, second, told = running(), running(), Told()
    order = Speaker(first)
    held = emissions(told, order)
    held.emit(second, said("a"), MAX_HELD_BYTES - 10)

    assert held.has_room(second, 10)
    assert not held.has_room(second, 11)
    assert held.has_room(first, MAX_HELD_BYTES + 1)

    order.speaker = second
    assert held.has_room(second, MAX_HELD_BYTES + 1)


def test_without_an_order_nothing_is_held_so_there_is_room() -> None:
    assert emissions(Told(), None).has_room(running(), MAX_HELD_BYTES + 1)


def test_nobody_waits_for_room_for_what_is_not_held_anyway() -> None:
    first, ended, given_up, over_its_limit, ending = running(), running(), running(), running(), running()
    ended.outcome = Outcome()
    given_up.phase = Phase.CLOSED
    over_its_limit.emitted = 5
    failed: Any = SimpleNamespace(failure="its scope failed")
    ending.scope = failed
    order = Speaker(first)
    held = emissions(Told(), order, limit=5)

    for attempt in (ended, given_up, over_its_limit, ending):
        assert held.has_room(attempt, MAX_HELD_BYTES + 1)
    assert emissions(None, order).has_room(over_its_limit, MAX_HELD_BYTES + 1)


def test_what_would_be_held_beyond_the_bound_is_dropped_and_counted() -> None:
    first, second, told = running(), running(), Told()
    held = emissions(told, Speaker(first))
    held.emit(second, said("a"), MAX_HELD_BYTES - 10)
    held.emit(second, said("b"), 11)
    held.emit(second, said("c"), 10)

    held.close(second)

    assert told.events == [said("a"), said("c"), EventsDropped(count=1)]
