"""A server for the tests that need no settings of their own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.control import gates
from tests.live.serving import Service, serving


@pytest.fixture(autouse=True)
def _closed_gates() -> Iterator[None]:
    gates.clear()
    yield
    gates.clear()


@pytest_asyncio.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(tmp_path) as running:
        yield running
