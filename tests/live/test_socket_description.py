"""The description of the WebSockets: an AsyncAPI document of every method, whose examples run as they stand."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest

from app.api.methods import METHODS
from app.api.routers.sockets import SOCKETS
from app.api.schemas.examples import EXECUTION_ID
from app.api.schemas.sockets import EXAMPLES
from app.api.socket_description import describe_sockets
from tests import npm
from tests.live.serving import Service, serving
from tests.live.sockets import socket
from tests.live.test_documented_examples import paused
from tests.parts import ROOT

DOCUMENT: Final = describe_sockets("1.2.3")
MESSAGES: Final[Mapping[str, Any]] = DOCUMENT["components"]["messages"]
_BREAKS: Final = ("ticker", {"breakpoints": [{"node": "tick"}]})
PREPARED: Final[Mapping[str, tuple[str, Any]]] = {
    "execution.resume": _BREAKS,
    "execution.step": _BREAKS,
    "execution.edit_state": _BREAKS,
    "execution.input": ("approval", {}),
    "execution.retry": ("ticker", {"state": {"count": -1}}),
}
"""What the examples of commands need that are for executions that are paused, or have failed."""
PUBLISHED: Final = "@asyncapi/specs/schemas/3.0.0.json"


def judge(schema: Mapping[str, Any]) -> Any:
    """Return what judges a value by a schema of the document."""
    return jsonschema_rs.validator_for({"allOf": [schema], "components": DOCUMENT["components"]})


@pytest.mark.needs("node")
def test_it_is_as_asyncapi_has_it() -> None:
    judged = jsonschema_rs.validator_for(json.loads((npm.modules() / PUBLISHED).read_text()))

    judged.validate(DOCUMENT)
    assert not judged.is_valid({**DOCUMENT, "operations": {"x": {"action": "sing"}}})


def test_it_has_every_method_and_every_address() -> None:
    received = {name for name, each in DOCUMENT["operations"].items() if each["action"] == "receive"}

    assert received == METHODS.keys()
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == SOCKETS.keys()
    assert DOCUMENT["info"]["version"] == "1.2.3"


def test_every_reference_leads_somewhere() -> None:
    def check(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(reference := value.get("$ref"), str):
                at: Any = DOCUMENT
                for key in reference.removeprefix("#/").split("/"):
                    at = at[key]
            for each in value.values():
                check(each)
        elif isinstance(value, list):
            for each in value:
                check(each)

    check(DOCUMENT)


@pytest.mark.parametrize("name", MESSAGES)
def test_examples_fit_the_schemas_beside_them(name: str) -> None:
    for example in MESSAGES[name].get("examples", ()):
        judge(MESSAGES[name]["payload"]).validate(example["payload"])


def test_every_method_that_there_is_has_an_example() -> None:
    assert EXAMPLES.keys() == {method.name for method in METHODS.values() if method.is_available}


async def test_examples_of_methods_run_as_they_stand(tmp_path: Path) -> None:
    async with serving(tmp_path, graphs=(ROOT / "examples",)) as service:
        for name in METHODS:
            reply = await tried(service, name)

            if name in EXAMPLES:
                judge(MESSAGES[f"{name}.result"]["payload"]).validate(reply)
                assert reply["result"].keys() == EXAMPLES[name]["result"].keys(), name
            else:
                assert reply["error"]["data"]["code"] == "not_available", name
                judge(MESSAGES["error"]["payload"]).validate(reply)


async def tried(service: Service, name: str) -> dict[str, Any]:
    """Send the example of a method on a socket that has the subscriptions s1 and s2, and return its reply."""
    (example,) = MESSAGES[name]["examples"]
    async with socket(service) as client:
        graph, options = PREPARED.get(name, ("ticker", {"state": {"count": 500, "interval_ms": 20}}))
        started = await client.result("execution.start", graph_id=graph, **options)
        execution = started["execution"]["id"]
        if name == "execution.retry":
            await service.events(execution)
        elif name in PREPARED:
            await paused(service, execution)
        await client.result("execution.subscribe", execution_id=execution)
        while (await client.event())["seq"] < 2:
            pass  # behind which an example goes on
        return await client.ask(json.dumps(example["payload"]).replace(EXECUTION_ID, execution))


async def test_what_comes_by_itself_and_what_is_refused_is_as_described(service: Service) -> None:
    async with socket(service) as client:
        await client.result("execution.start", graph_id="chain")
        refusals = [await client.call("execution.fly"), await client.call("execution.cancel"), await client.ask("{")]
        events = await client.events()

    assert events[-1]["type"] == "stream_end"
    for event in events:
        message = {"jsonrpc": "2.0", "method": "event", "params": {"subscription": "s1", "event": event}}
        judge(MESSAGES["event"]["payload"]).validate(message)
    assert [each["error"]["code"] for each in refusals] == [-32601, -32602, -32700]
    for refused in refusals:
        judge(MESSAGES["error"]["payload"]).validate(refused)


async def test_it_is_served_and_led_to(service: Service) -> None:
    answer = await service.client.get("/asyncapi.json")
    first, manual = await service.client.get("/"), await service.client.get("/docs")

    assert answer.json() == describe_sockets(answer.json()["info"]["version"])
    assert "href='/docs/websocket'" in first.text
    assert 'href="/docs/websocket"' in manual.text


async def test_its_page_loads_nothing_from_elsewhere_and_is_told_to(service: Service) -> None:
    page, manual = await service.client.get("/docs/websocket"), await service.client.get("/docs")
    script = (await service.client.get("/docs/websocket.js")).text

    assert page.headers["content-security-policy"] == manual.headers["content-security-policy"]
    assert "<script>" not in page.text
    assert "style=" not in page.text
    assert "innerHTML" not in script
    assert f'"{EXECUTION_ID}"' in script


async def test_a_subscription_behind_the_last_event_says_that_it_has_ended(service: Service) -> None:
    ended = await service.run("chain")
    async with socket(service) as client:
        after = {"execution_id": ended["id"], "after": ended["last_seq"]}
        over = await client.result("execution.subscribe", **after)
        before = await client.result("execution.subscribe", **{**after, "after": ended["last_seq"] - 1})
        events = await client.events()

    assert over == {"subscription": "s1", "ended": True}
    assert before == {"subscription": "s2"}
    assert [event["seq"] for event in events] == [ended["last_seq"]]
