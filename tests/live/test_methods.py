"""Every address with every method: what is not offered is refused, and says what is."""

import re
from collections.abc import Iterator

import pytest

from tests.live.description import Operation, description
from tests.live.documented_requests import requests
from tests.live.serving import Service

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
OWN_PAGES = ("/", "/docs", "/docs/start.js", "/openapi.json")
WITHOUT_HEAD = {"/executions/{execution_id}/events", "/events"}
IN_ANY_FORM = {"/health/live", "/health/ready"}


def offered(path: str) -> set[str]:
    """Return the methods that an address takes, by the description."""
    methods = {operation.method for operation in description().operations if operation.path == path}
    return methods | ({"HEAD"} if "GET" in methods and path not in WITHOUT_HEAD else set())


def offered_at(address: str) -> set[str]:
    """Return the methods that an address takes, which may be one of several paths: a name can look like an id."""
    matching = [
        path for path in description().document["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), address)
    ]
    return set().union(*map(offered, matching))


def addresses() -> Iterator[tuple[str, set[str]]]:
    """Return an address of each route, with its methods."""
    for path in description().document["paths"]:
        operation = next(each for each in description().operations if each.path == path)
        address = next(requests(operation)).path
        yield address, offered_at(address)
    for path in OWN_PAGES:
        yield path, {"GET", "HEAD"}


@pytest.mark.bad_input(53)
async def test_what_an_address_does_not_take_is_refused_with_what_it_takes(service: Service) -> None:
    for address, methods in addresses():
        for method in METHODS:
            if method in methods:
                continue
            answer = await service.client.request(method, address)

            assert answer.status_code == 405, (method, address)
            told = {part.strip() for part in answer.headers["allow"].split(",")}
            assert told == methods, (method, address)
            if method != "HEAD":
                assert answer.json()["allowed"] == sorted(methods)


def reads(operation: Operation) -> bool:
    """Return whether an operation can be asked for without changing anything."""
    return operation.method == "GET" and operation.path not in IN_ANY_FORM and not operation.is_of_socket


@pytest.mark.bad_input(56)
@pytest.mark.parametrize(
    "operation", [each for each in description().operations if reads(each)], ids=lambda operation: operation.id
)
async def test_what_no_route_has_is_refused_with_what_it_has(service: Service, operation: Operation) -> None:
    example = next(requests(operation))

    for accept in ("text/csv", "*/*;q=0", "application/json;q=0, text/csv"):
        answer = await service.client.get(example.path, headers={"Accept": accept})

        if answer.status_code == 404 or answer.is_success:  # no such thing; or another form than JSON
            assert accept != "text/csv" or answer.status_code == 404
            continue
        assert answer.status_code == 406, accept
        declared = operation.described["responses"]["200"]["content"].keys() | {"text/plain", "application/json"}
        assert set(answer.json()["offered"]) <= declared


async def test_what_is_nowhere_is_a_problem_for_every_method(service: Service) -> None:
    for address in (
        "/graph",
        "/graphs/hello/run",
        "/executions/x/y",
        "/problems/a/b",
        "/schemas",
        "/v1/graphs",
        "/docs/x",
    ):
        for method in METHODS:
            answer = await service.client.request(method, address)

            is_asset = address.startswith("/docs/") and method not in ("GET", "HEAD")
            assert answer.status_code == (405 if is_asset else 404), (method, address)
            assert answer.headers["content-type"] == "application/problem+json"
