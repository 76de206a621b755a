"""Databases for tests: each test has its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest

from tests.parts import postgresql_url

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]
"""Parameters for what holds on every database."""

on_each_database = pytest.mark.parametrize("database_url", DATABASES, indirect=True)
"""For a test of the whole service."""


@asynccontextmanager
async def postgresql_schema() -> AsyncIterator[str]:
    """Make an empty schema that nobody else has, and give the URL that leads to it."""
    name = f"graphwire_test_{uuid4().hex}"
    url = postgresql_url()
    await execute(url, f"CREATE SCHEMA {name}")
    try:
        yield f"{url}{'&' if '?' in url else '?'}search_path={name}"
    finally:
        await execute(url, f"DROP SCHEMA {name} CASCADE")


async def execute(url: str, statement: str) -> str:
    """Run a statement, and return what PostgreSQL says of it, as ``UPDATE 1``."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return str(await connection.execute(statement))
    finally:
        await connection.close()
