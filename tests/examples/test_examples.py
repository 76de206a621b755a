"""Every example loads, is valid, runs, and shows what it says it shows."""

import ast
from collections import Counter
from typing import Any

import pytest

from graphwire import run, start_live
from graphwire.engine.commands import Input
from graphwire.engine.plan import Plan
from graphwire.engine.runner import Start
from graphwire.events.encoding import Envelope, decode_line
from graphwire.events.types import NodeMessage, NodeSuspended
from graphwire.graphs.loader import LoadedFolder
from graphwire.graphs.validation import validate
from graphwire.nodes import builtin_registry
from graphwire.values import thaw
from tests.examples.conftest import FOLDER


def messages(events: list[Envelope]) -> list[Any]:
    return [thaw(bytes(event.data.message)) for event in events if isinstance(event.data, NodeMessage)]


@pytest.mark.capability("CLN-12")
def test_the_folder_loads_and_every_graph_in_it_is_valid(examples: LoadedFolder) -> None:
    assert examples.failures == ()
    assert {each.definition.id for each in examples.graphs} == {
        "approval",
        "code_census",
        "flaky_rates",
        "hello",
        "lattice",
        "order_review",
        "parcel_price",
        "refund",
        "shipping",
        "ticker",
    }
    for each in examples.graphs:
        findings = validate(each.definition, builtin_registry(), code=each.code)
        assert (findings.problems, findings.warnings) == ((), ())
        assert each.definition.name
        assert each.definition.description


def test_every_python_example_says_what_it_shows() -> None:
    for path in FOLDER.glob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


@pytest.mark.capability("CLN-12")
async def test_hello_greets_the_world_or_whom_it_is_told(plans: dict[str, Plan]) -> None:
    world = await run(plans["hello"])
    ada = await run(plans["hello"], {"name": "  Ada "})

    assert world.status == "completed"
    assert world.state == {"name": "world", "greeting": "Hello, world!", "length": 13}
    assert ada.state["greeting"] == "Hello, Ada!"


@pytest.mark.capability("CLN-12")
async def test_every_node_of_the_lattice_runs_once(plans: dict[str, Plan]) -> None:
    events: list[Envelope] = []

    finished = await run(plans["lattice"], on_event=events.append)

    assert (finished.status, finished.steps, finished.state) == ("completed", 100, {})
    started = Counter(event.node_id for event in events if event.type == "node_started")
    assert len(started) == 100
    assert set(started.values()) == {1}


@pytest.mark.capability("CLN-12", "NOD-17")
async def test_the_ticker_sends_its_ticks_in_order_and_then_its_result(plans: dict[str, Plan]) -> None:
    events: list[Envelope] = []

    finished = await run(plans["ticker"], {"count": 3, "interval_ms": 0}, on_event=events.append)

    assert messages(events) == [{"tick": number, "of": 3} for number in (1, 2, 3)]
    assert finished.state["ticks"] == 3


@pytest.mark.parametrize(
    "state", [{"count": -1}, {"count": "3"}, {"count": True}, {"interval_ms": -1}, {"interval_ms": None}]
)
async def test_the_ticker_refuses_what_is_no_count_and_no_interval(
    plans: dict[str, Plan], state: dict[str, Any]
) -> None:
    finished = await run(plans["ticker"], state)

    assert finished.status == "failed"
    assert finished.error is not None
    assert finished.error.code == "input_error"


@pytest.mark.capability("CLN-12")
async def test_a_large_order_goes_through_both_checks_the_loop_and_the_error_edge(plans: dict[str, Plan]) -> None:
    events: list[Envelope] = []

    finished = await run(plans["order_review"], on_event=events.append)

    assert (finished.status, finished.outcome) == ("completed", "success")
    assert finished.state["notes"] == [
        "2 items cost 616.50",
        "to be made: lamp",
        "risk 36%, shipped abroad",
        "invoice over 530.19",
    ]
    assert finished.state["confirmation"] == "Dear Ada, 530.19 by invoice. Thank you!"
    assert finished.state["score"] >= finished.state["good_enough"]
    assert [offer["round"] for offer in messages(events)] == [1, 2, 3, 4, 5, 6, 7]
    assert [error["node"] for error in finished.errors] == ["charge_card"]


@pytest.mark.capability("NOD-11")
@pytest.mark.parametrize(("approved", "outcome"), [(True, "250 paid"), (False, "declined")])
async def test_an_approval_goes_on_with_the_answer(plans: dict[str, Plan], approved: bool, outcome: str) -> None:
    async with start_live(plans["approval"], Start(), is_attended=True) as live:
        async for events in live.pages():
            for event in map(decode_line, events):
                if isinstance(event.data, NodeSuspended):
                    await live.command(Input(event.data.interrupt_id, {"approved": approved}))
        finished = await live.finished()

    assert finished.state["outcome"] == outcome


async def test_a_card_that_is_accepted_needs_no_invoice(plans: dict[str, Plan]) -> None:
    finished = await run(plans["order_review"], {"card_limit": 5000})

    assert finished.state["payment"] == "card"
    assert "530.19 charged" in finished.state["notes"]
    assert finished.errors == []


async def test_a_small_order_is_not_checked_for_fraud_and_nobody_waits_for_that(plans: dict[str, Plan]) -> None:
    order = {
        "id": "A-2",
        "customer": {"name": "Bo", "country": "SE", "ship_to": "SE"},
        "items": [{"sku": "desk", "quantity": 1, "price": 20}],
    }

    finished = await run(plans["order_review"], {"order": order})

    assert finished.status == "completed"
    assert "risk" not in finished.state
    assert finished.state["notes"][1] == "all in stock"


@pytest.mark.capability("CLN-12", "NOD-05", "NOD-06", "NOD-08")
async def test_shipping_packs_parcels_and_has_each_priced(plans: dict[str, Plan]) -> None:
    near = await run(plans["shipping"])
    far = await run(plans["shipping"], {"country": "JP"})

    assert [len(parcel) for parcel in near.state["parcels"]] == [3, 2]
    assert [quote["price"] for quote in near.state["quotes"]] == [67.5, 32.5]
    assert (near.state["price"], far.state["price"]) == (100, 226)
    assert "kg" not in near.state


@pytest.mark.capability("CLN-12", "NOD-11")
async def test_a_refund_of_a_small_amount_asks_nobody(plans: dict[str, Plan]) -> None:
    small = await run(plans["refund"])

    assert small.state["outcome"] == "20 goes back to Ada."


@pytest.mark.capability("RES-05", "RES-10")
@pytest.mark.parametrize(("failures", "attempts", "price"), [(0, 1, 232.5), (2, 3, 232.5), (9, 4, 237.5)])
async def test_flaky_rates_are_fetched_again_and_those_of_yesterday_stand_in(
    plans: dict[str, Plan], failures: int, attempts: int, price: float
) -> None:
    events: list[Envelope] = []

    finished = await run(plans["flaky_rates"], {"failures": failures}, on_event=events.append)

    assert (finished.status, finished.outcome, finished.state["price"]) == ("completed", "success", price)
    assert finished.state["are_fresh"] == (failures < 4)
    assert [event.type for event in events].count("node_started") == attempts + 1
