"""Turns of changes: who is refused together, and who alone."""

import asyncio

import pytest

from app.storage.errors import KeyTaken
from app.storage.turns import Turns
from graphwire.errors import StorageUnavailable
from tests.waiting import at_first_wait


@pytest.mark.parametrize(
    ("error", "others"),
    [(StorageUnavailable("The database cannot be used."), "refused"), (KeyTaken("The key was taken."), "done")],
)
async def test_what_waits_is_refused_with_another_only_where_the_database_refused_it(
    error: StorageUnavailable, others: str
) -> None:
    turns, may_fail = Turns(), asyncio.Event()

    async def fail() -> None:
        async with turns.next():
            await may_fail.wait()
            raise error

    async def change() -> str:
        try:
            async with turns.next():
                return "done"
        except StorageUnavailable:
            return "refused"

    waiting = [await at_first_wait(fail()), await at_first_wait(change()), await at_first_wait(change())]
    may_fail.set()
    failed, *told = await asyncio.gather(*waiting, return_exceptions=True)

    assert failed is error
    assert told == [others, others]
    assert await change() == "done"
