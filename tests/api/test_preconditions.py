"""Lists of entity tags as text: what they cost. What they do is shown over a socket, in tests/live."""

import asyncio
from collections.abc import Container

import pytest
from starlette.requests import Request

from app.api.errors import BadRequest
from app.api.preconditions import read_expected, read_known
from tests.measuring import within_cpu_s


def request_with(name: str, value: str) -> Request:
    return Request({"type": "http", "headers": [(name.encode(), value.encode("latin-1"))]})


@pytest.mark.bad_input(49)
@pytest.mark.parametrize(
    "value",
    [
        "," + " " * 100_000 + "x",
        '"1"' + "\t" * 100_000 + "x",
        '"' + "1" * 100_000,
        "W/" * 50_000,
        '"1" ' * 25_000,
        ", " * 50_000 + "x",
        '"1",' * 25_000 + " " * 100_000 + "x",
    ],
    ids=["blanks", "blanks-after-a-tag", "open", "weak", "no-commas", "commas", "many"],
)
def test_a_list_of_tags_that_cannot_be_read_costs_no_more_than_its_length(value: str) -> None:
    async def read() -> Container[int]:
        with pytest.raises(BadRequest):
            await read_expected(request_with("if-match", value))
        return await read_known(request_with("if-none-match", value))

    assert within_cpu_s(1, lambda: asyncio.run(read())) == frozenset()
