"""How Alembic finds its connection: the caller's, or that of ``-x url=…`` on the command line."""

import asyncio

from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from alembic import context
from app.storage.tables import metadata

ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


def run(connection: Connection) -> None:
    """Run the migrations within one transaction."""
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


async def run_on(url: str) -> None:
    """Run the migrations on a database of one's own."""
    parsed = make_url(url)
    engine = create_async_engine(parsed.set(drivername=ASYNC_DRIVERS[parsed.get_backend_name()]), poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(run_on(context.get_x_argument(as_dictionary=True)["url"]))
