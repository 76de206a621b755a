"""Requests that a program makes from the description of the API, good ones and bad ones, against a real server.

Streams are left out by their names, since an answer of theirs does not end when it has been read: ``get_events``,
``get_service_events`` and ``execute_graph_and_stream``. So are WebSockets, which no plain request opens.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import settings
from schemathesis import Case
from schemathesis.checks import CHECKS, load_all_checks

from tests.live.description import description
from tests.live.serving import serving
from tests.parts import ROOT

STREAMS = ["execute_graph_and_stream", "get_events", "get_service_events"]
LONGEST_S = 3_600.0
OF_MEANING = {
    "code_not_allowed",  # that it is code
    "expression_invalid",
    "graph_invalid",  # ids that name nothing, expressions, configs by node type
    "idempotency_mismatch",  # a key that was used
    "invalid_cursor",  # a text that is no `next` of a page
    "invalid_request",  # nodes and versions that there are not, times that there are not
    "precondition_required",
    "revision_conflict",
    "state_invalid",
    "too_deep",
    "unknown_node_type",
}
"""Why a request may be refused that fits its schema: what it says is wrong, which no schema can tell."""
SHARED = {
    "/graphs/validate": "an address of the graph of that name too, whose methods `Allow` rightly names",
    "/executions/cancel": "likewise of the execution of that name",
    "/executions/retry": "likewise",
}


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """Write a list as a line for each of its items."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in (value if isinstance(value, list) else [value]))


load_all_checks()
schema = (
    schemathesis.openapi.from_dict(dict(description().document)).exclude(operation_id=STREAMS).exclude(tag="sockets")
)
schema.config.checks.positive_data_acceptance.expected_statuses += ["400", "412", "422", "428"]  # see OF_MEANING
schema.config.checks.negative_data_rejection.expected_statuses += ["412", "414"]  # before the body or the query is read
allow_header: Any = CHECKS.get_one("allow_header_conformance")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the example graphs, in a thread of its own: the requests are made by plain code."""
    folder = tmp_path_factory.mktemp("service")
    ports: Queue[int] = Queue()
    over = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(_serve(folder, ports, over),))
    thread.start()
    yield f"http://127.0.0.1:{ports.get(timeout=20)}"
    over.set()
    thread.join(timeout=20)


async def _serve(folder: Path, ports: "Queue[int]", over: threading.Event) -> None:
    async with serving(folder, within_s=LONGEST_S, graphs=(ROOT / "examples",)) as service:
        ports.put(service.port)
        await asyncio.to_thread(over.wait)


@schema.parametrize()
@settings(max_examples=max(settings().max_examples // 10, 10))
def test_every_answer_is_as_described(case: Case[Any], address: str) -> None:
    answer = case.call_and_validate(
        base_url=address, excluded_checks=[allow_header] if case.path in SHARED else [], timeout=30
    )

    headers = {name.lower(): values[0] for name, values in answer.headers.items()}
    path = httpx.URL(answer.request.url or "").path
    fault = description().fault(case.method, path, answer.status_code, headers, answer.content)
    assert fault is None
    if answer.status_code in (400, 422) and is_good(case, path):
        assert answer.json()["code"] in OF_MEANING, (case.headers, answer.text)


def is_good(case: Case[Any], path: str) -> bool:
    """Return whether a request was made to fit the schema, and does: headers that should do not always."""
    meta: Any = case.meta
    operation = description().operation(case.method, path)
    if meta is None or not meta.generation.mode.is_positive or operation is None:
        return False
    given = dict(case.headers or {})
    return all(
        description().validator(parameter["schema"]).is_valid(given[parameter["name"]])
        for parameter in operation.described.get("parameters", ())
        if parameter["in"] == "header" and parameter["name"] in given
    )
