"""What is announced is stored once and in order, whatever the database does meanwhile."""

import json
from typing import Any

import pytest

from app.services import announcements
from app.services.announcements import Announcements, diagnostic
from app.storage.database import Database
from app.storage.repositories.service_events import ServiceEventRepository
from graphwire.clock import FakeClock
from graphwire.errors import StorageUnavailable
from graphwire.sinks.port import SinkTrouble


class Failing(ServiceEventRepository):
    """Fails at some of the calls: before anything is written, or after it was stored."""

    def __init__(self, database: Database, before: int = 0, after: int = 0) -> None:
        super().__init__(database)
        self.before, self.after = before, after

    async def append(self, told: Any, *, again_from: int | None = None) -> None:
        if self.before:
            self.before -= 1
            raise StorageUnavailable("away")
        await super().append(told, again_from=again_from)
        if self.after:
            self.after -= 1
            raise StorageUnavailable("lost during the commit")


async def stored(database: Database) -> list[tuple[int, str, str | None]]:
    reader = database.reader()
    page = await reader.read_service_events(after=0, upto=2**62, limit=10_000, max_bytes=10_000_000)
    await reader.close()
    events = [json.loads(event.line) for event in page]
    return [(event["seq"], event["type"], event["data"].get("code")) for event in events]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "RETRY_S", 0.0)


def make_announcements(events: ServiceEventRepository) -> Announcements:
    return Announcements(events, FakeClock(), version="1.0.0")


async def test_a_process_begins_with_its_startup_and_ends_with_its_shutdown(database: Database) -> None:
    events = ServiceEventRepository(database)
    for _ in range(2):
        async with make_announcements(events) as announced:
            announced.announce(diagnostic("a", "info", "A."))
            announced.announce(diagnostic("b", "info", "B."))

    assert await stored(database) == [
        (1, "system.startup", None),
        (2, "system.diagnostic", "a"),
        (3, "system.diagnostic", "b"),
        (4, "system.shutdown", None),
        (5, "system.startup", None),
        (6, "system.diagnostic", "a"),
        (7, "system.diagnostic", "b"),
        (8, "system.shutdown", None),
    ]


async def test_a_startup_says_how_the_process_before_ended(database: Database) -> None:
    events = ServiceEventRepository(database)
    async with make_announcements(events):
        pass
    async with make_announcements(events):
        async with make_announcements(events):  # while the other has not stopped
            pass

    reader = database.reader()
    page = await reader.read_service_events(after=0, upto=99, limit=99, max_bytes=99_999)
    await reader.close()
    said = [json.loads(event.line)["data"] for event in page if event.type == "system.startup"]
    assert said == [{"version": "1.0.0", "previous": previous} for previous in ("none", "stopped", "died")]


@pytest.mark.parametrize(("before", "after"), [(2, 0), (0, 1), (3, 3)])
async def test_an_announcement_is_stored_once_whatever_fails(database: Database, before: int, after: int) -> None:
    events = Failing(database)
    async with make_announcements(events) as announced:
        events.before, events.after = before, after
        for code in ("a", "b", "c"):
            announced.announce(diagnostic(code, "info", "It is so."))

    assert [code for _, _, code in await stored(database)] == [None, "a", "b", "c", None]


async def test_what_is_too_much_is_dropped_and_counted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "MAX_WAITING", 3)
    async with make_announcements(ServiceEventRepository(database)) as announced:
        for number in range(5):
            announced.announce(diagnostic(f"n{number}", "info", "It is so."))

    assert [code for _, _, code in await stored(database)] == [None, "n0", "n1", "n2", "announcements_dropped", None]


async def test_what_the_store_and_sinks_suffer_is_told(database: Database) -> None:
    async with make_announcements(ServiceEventRepository(database)) as announced:
        announced.storage_changed("the disk is full")
        announced.storage_changed(None)
        announced.sink_troubled(SinkTrouble("file", "switched_off", 7, "it failed 7 times in a row"))

    reader = database.reader()
    page = await reader.read_service_events(after=1, upto=4, limit=99, max_bytes=99_999)
    await reader.close()
    said = [json.loads(event.line)["data"] for event in page]
    assert [(each["code"], each["severity"]) for each in said] == [
        ("storage_unavailable", "error"),
        ("storage_available", "info"),
        ("sink_switched_off", "error"),
    ]
    assert said[0]["message"] == "Nothing could be stored: the disk is full"
    assert said[2]["facts"] == {"sink": "file", "count": 7}
