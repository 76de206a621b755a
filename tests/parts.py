"""What tests need beyond the Python packages: how to find it, and how to get it."""

import asyncio
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import asyncpg

ROOT = Path(__file__).resolve().parent.parent
CORPORA_BESIDE_THE_REPOSITORY = ROOT.parent / "shared" / "testdata"
REQUIRE_VARIABLE = "GRAPHWIRE_TEST_REQUIRE"


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a test needs.

    Attributes:
        is_there: Looks for it, within a few seconds.
        how: How to get it, as one sentence for whoever saw a test skipped.
    """

    name: str
    is_there: Callable[[], bool]
    how: str


def postgresql_url() -> str:
    """Return the address of the database that tests may fill with schemas of their own."""
    return os.environ.get("GRAPHWIRE_TEST_POSTGRESQL", "postgresql://root@127.0.0.1:5432/test")


def corpora_folder() -> Path:
    """Return the folder of the test data made by others, whether it exists or not."""
    return Path(os.environ.get("GRAPHWIRE_TEST_CORPORA") or CORPORA_BESIDE_THE_REPOSITORY)


def _postgresql_is_there() -> bool:
    async def connect() -> None:
        connection = await asyncpg.connect(postgresql_url(), timeout=5)
        await connection.close()

    try:
        asyncio.run(connect())
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    return True


def _nats_is_there() -> bool:
    try:
        with socket.create_connection(("127.0.0.1", 4222), timeout=2) as connection:
            return connection.recv(5) == b"INFO "
    except OSError:
        return False


PARTS = {
    part.name: part
    for part in (
        Part(
            "postgresql",
            _postgresql_is_there,
            "Run PostgreSQL and name a database in GRAPHWIRE_TEST_POSTGRESQL (postgresql://user@host/test).",
        ),
        Part("nats", _nats_is_there, "Run `nats-server` on 127.0.0.1:4222."),
        Part("curl", lambda: shutil.which("curl") is not None, "Install curl (`apt-get install curl`)."),
        Part("nginx", lambda: shutil.which("nginx") is not None, "Install nginx (`apt-get install nginx-light`)."),
        Part("caddy", lambda: shutil.which("caddy") is not None, "Install Caddy (`apt-get install caddy`)."),
        Part("node", lambda: shutil.which("node") is not None, "Install Node.js (`apt-get install nodejs`)."),
        Part("chromium", lambda: shutil.which("chromium") is not None, "Install it (`apt-get install chromium`)."),
        Part(
            "corpora",
            lambda: corpora_folder().is_dir(),
            "Name the folder of the test corpora in GRAPHWIRE_TEST_CORPORA.",
        ),
    )
}


@cache
def is_there(name: str) -> bool:
    """Return whether the part of that name can be used; looked for once."""
    return PARTS[name].is_there()


def required(text: str) -> frozenset[str]:
    """Return the parts whose absence is a failure: ``all``, or names separated by commas.

    Raises:
        ValueError: A name is not that of a part.
    """
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if names == {"all"}:
        return frozenset(PARTS)
    if unknown := sorted(names - PARTS.keys()):
        raise ValueError(f"{REQUIRE_VARIABLE} names unknown parts: {', '.join(unknown)} (known: {', '.join(PARTS)})")
    return names
