from itertools import pairwise

import httpx
import pytest

from graphwire.client import AsyncClient
from graphwire.client.choice import Transport, TransportChoice, Wanted


class Time:
    def __init__(self) -> None:
        self.now = 0.0


@pytest.mark.capability("POL-04")
def test_each_transport_that_does_not_get_through_is_left_for_the_next() -> None:
    choice = TransportChoice(lambda: 0.0)
    tried: list[Transport] = []

    for _ in range(4):
        tried.append(choice.pick("auto"))
        choice.block(tried[-1], "auto")

    assert tried == ["websocket", "sse", "poll", "poll"]


@pytest.mark.capability("POL-04")
def test_a_blocked_transport_is_tried_again_later_and_later() -> None:
    time = Time()
    choice = TransportChoice(lambda: time.now)
    tried: list[float] = []

    while time.now < 4_000:
        if choice.pick("auto") == "websocket":
            tried.append(time.now)
            choice.block("websocket", "auto")
        time.now += 1

    assert [later - earlier for earlier, later in pairwise(tried)] == [60, 120, 240, 480, 900, 900, 900]


def test_one_that_works_again_is_no_longer_suspected() -> None:
    time = Time()
    choice = TransportChoice(lambda: time.now)
    choice.block("websocket", "auto")
    choice.block("websocket", "auto")

    choice.works("websocket")
    assert choice.pick("auto") == "websocket"

    choice.block("websocket", "auto")
    time.now = 60
    assert choice.pick("auto") == "websocket"


@pytest.mark.parametrize("wanted", ["websocket", "sse", "poll"])
def test_a_transport_that_was_asked_for_is_the_only_one(wanted: Wanted) -> None:
    choice = TransportChoice(lambda: 0.0)

    assert choice.pick(wanted) == wanted
    assert not choice.block(wanted, wanted)
    assert choice.pick(wanted) == wanted


async def test_an_http_client_of_the_callers_carries_all_that_is_chosen() -> None:
    async with httpx.AsyncClient() as http, AsyncClient("http://127.0.0.1:1", http=http) as client:
        assert client.performer.choice.pick("auto") == "sse"
    async with AsyncClient("http://127.0.0.1:1") as client:
        assert client.performer.choice.pick("auto") == "websocket"
