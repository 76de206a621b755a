"""Promise 1: everything, once, in order, with no seam, on every transport the same."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.examples.conftest import FOLDER as EXAMPLES
from tests.live.promises.cases import each_form_on_sqlite_and_one_on_postgresql
from tests.live.promises.following import Follower, cuts_of
from tests.live.promises.forms import CODED_FORMS, Poll, Session
from tests.live.promises.live import Telling, history, texts_of
from tests.live.promises.random_graphs import random_graph
from tests.live.serving import Service, serving

CENSUS = Path(json.__file__).parent
LONG = pytest.param(250, marks=pytest.mark.long)


@pytest.mark.bad_input(74)
@pytest.mark.capability("SSE-06")
@pytest.mark.parametrize("readers", [3, LONG])
async def test_a_live_stream_cut_at_random_bytes_loses_and_repeats_nothing(
    tmp_path: Path, coded_form: type[Session], readers: int
) -> None:
    chance = random.Random(f"live {coded_form.name} {readers}")
    async with serving(tmp_path, ring_events=8, within_s=600) as service:
        telling = await Telling.start(service, "live", texts_of(chance, 12))
        followers = [Follower(coded_form, service.port, telling.execution, watch=telling.watch) for _ in range(readers)]
        async with asyncio.TaskGroup() as group:
            for follower in followers:
                cuts = cuts_of(chance, 4, largest=6_000)
                group.create_task(follower.follow_with_cuts(cuts, random.Random(chance.random())))
        whole = await history(service, telling.execution)

    for follower in followers:
        assert follower.lines == whole
    assert sum(follower.connections for follower in followers) > readers


async def test_a_reader_that_comes_back_to_where_nothing_happened_since_gets_what_happens_next(
    tmp_path: Path, coded_form: type[Session]
) -> None:
    async with serving(tmp_path, heartbeat_s=0.05) as service:
        telling = await Telling.start(service, "back", [["one"], ["two", "three"]])
        follower = Follower(coded_form, service.port, telling.execution)
        async with follower.connected() as connection:
            await connection.until_event(3)
        async with follower.connected() as connection:
            if coded_form is not Poll:
                await connection.until(lambda: connection.session.signs >= 2)
            telling.go_on_to_the_end()
            assert await connection.end() == "end"

    assert follower.seqs == list(range(1, 9))


@each_form_on_sqlite_and_one_on_postgresql("coded_form", list(CODED_FORMS))
@pytest.mark.bad_input(74)
@pytest.mark.capability("HUB-22")
@pytest.mark.parametrize("readers", [3, LONG])
async def test_a_stream_of_history_cut_at_random_bytes_loses_and_repeats_nothing(
    tmp_path: Path, database_url: str, coded_form: type[Session], readers: int
) -> None:
    chance = random.Random(f"history {coded_form.name} {readers}")
    async with serving(tmp_path, database_url=database_url, ring_events=8, within_s=600) as service:
        telling = await Telling.start(service, "history", texts_of(chance, 12))
        telling.go_on_to_the_end()
        await Follower(coded_form, service.port, telling.execution).follow()
        whole = await history(service, telling.execution)
        followers = [Follower(coded_form, service.port, telling.execution) for _ in range(readers)]
        async with asyncio.TaskGroup() as group:
            for follower in followers:
                cuts = cuts_of(chance, 4, largest=20_000)
                group.create_task(follower.follow_with_cuts(cuts, random.Random(chance.random())))

    for follower in followers:
        assert follower.lines == whole


@pytest.mark.bad_input(74)
@pytest.mark.parametrize("readers", [24, pytest.param(1_000, marks=pytest.mark.long)])
async def test_many_readers_on_all_transports_cut_any_number_of_times_get_the_same(
    tmp_path: Path, readers: int
) -> None:
    chance = random.Random(readers)
    async with serving(tmp_path, ring_events=8, within_s=600) as service:
        telling = await Telling.start(service, "many", texts_of(chance, 10, longest=200))
        followers = [
            Follower(form, service.port, telling.execution, watch=telling.watch)
            for _, form in zip(range(readers), [*CODED_FORMS.values()] * readers, strict=False)
        ]
        async with asyncio.TaskGroup() as group:
            for follower in followers:
                cuts = cuts_of(chance, chance.randint(0, 8), largest=4_000)
                group.create_task(follower.follow_with_cuts(cuts, random.Random(chance.random())))
        whole = await history(service, telling.execution)

    for follower in followers:
        assert follower.lines == whole


async def compared(service: Service, graph: str, seed: int, **body: Any) -> list[bytes]:
    """Run a graph, read it on every transport live, late and with cuts, and return what all of them got."""
    chance = random.Random(seed)
    execution = await service.start(graph, **body)
    live = [Follower(form, service.port, execution) for form in CODED_FORMS.values()]
    cut = [Follower(form, service.port, execution) for form in CODED_FORMS.values()]
    async with asyncio.TaskGroup() as group:
        for follower in live:
            group.create_task(follower.follow())
        for follower in cut:
            cuts = cuts_of(chance, 3, largest=3_000)
            group.create_task(follower.follow_with_cuts(cuts, random.Random(chance.random())))
    late = [Follower(form, service.port, execution) for form in CODED_FORMS.values()]
    for follower in late:
        assert await follower.follow() == "end"
    resumed = [Follower(form, service.port, execution, after=len(late[0].events) // 2) for form in CODED_FORMS.values()]
    for follower in resumed:
        assert await follower.follow() in ("end", "nothing")

    whole = late[0].lines
    for follower in [*live, *cut, *late]:
        assert follower.lines == whole
        assert not follower.told("stream_closed")
    for follower in resumed:
        assert follower.lines == whole[len(whole) // 2 :]
    return whole


@pytest.mark.capability("POL-05", "SSE-02")
@pytest.mark.parametrize(
    ("graph", "state"),
    [
        ("hello", {}),
        ("lattice", {}),
        ("order_review", {}),
        ("flaky_rates", {"failures": 1}),
        ("ticker", {"count": 5, "interval_ms": 1}),
        ("code_census", {"folder": str(CENSUS)}),
    ],
)
async def test_an_example_has_the_same_history_byte_for_byte_on_every_transport(
    tmp_path: Path, graph: str, state: dict[str, Any]
) -> None:
    async with serving(tmp_path, graphs=(EXAMPLES,)) as service:
        assert len(await compared(service, graph, 1, state=state, detail="full")) > 9


@pytest.mark.capability("POL-05")
@pytest.mark.parametrize("graphs", [15, pytest.param(300, marks=pytest.mark.long)])
async def test_random_graphs_have_the_same_history_byte_for_byte_on_every_transport(
    tmp_path: Path, graphs: int
) -> None:
    async with serving(tmp_path, ring_events=4, within_s=600) as service:
        for seed in range(graphs):
            definition = random_graph(f"random{seed}", seed)
            created = await service.client.post("/graphs", json=definition)
            assert created.status_code == 201, created.text
            await compared(service, definition["id"], seed, detail=random.Random(seed).choice(["standard", "full"]))
