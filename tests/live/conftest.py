"""A server for the tests that need no settings of their own."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.databases import postgresql_schema
from tests.live.control import awake, gates, keys
from tests.live.serving import Service, empty_database, serving


@pytest.fixture(autouse=True)
def _closed_gates() -> Iterator[None]:
    gates.clear()
    awake.clear()
    keys.clear()
    yield
    gates.clear()
    keys.clear()
    awake.set()


@pytest_asyncio.fixture
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of an empty database, SQLite unless the test is marked ``on_each_database``."""
    async with AsyncExitStack() as stack:
        if getattr(request, "param", "sqlite") == "postgresql":
            yield await stack.enter_async_context(postgresql_schema())
        else:
            (tmp_path / "graphwire.db").write_bytes(empty_database())
            yield f"sqlite:///{tmp_path}/graphwire.db"


@pytest_asyncio.fixture
async def service(tmp_path: Path, database_url: str) -> AsyncIterator[Service]:
    async with serving(tmp_path, database_url=database_url) as running:
        yield running
