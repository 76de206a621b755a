"""Versions that retention has forgotten."""

from datetime import UTC, datetime, timedelta

import pytest

from app.services.graphs import GraphService
from app.services.remembered import Memory
from app.storage.database import Database
from app.storage.repositories.graphs import GraphRepository
from app.storage.repositories.retention import RetentionRepository
from graphwire.clock import SystemClock
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import InvalidInput
from graphwire.nodes import builtin_registry
from graphwire.types import GraphId

PLAIN = {"id": "plain", "nodes": [{"id": "a", "type": "delay", "config": {"seconds": 0}}]}


async def test_a_version_that_was_forgotten_cannot_be_started_when_its_graph_is_made_again(database: Database) -> None:
    old = RetentionRepository(database)
    async with Supervisor() as supervisor:
        graphs = GraphService(
            GraphRepository(database),
            builtin_registry(),
            supervisor,
            SystemClock(),
            Memory(2**20),
            max_nodes=10,
            max_edges=10,
        )
        await graphs.create(PLAIN)
        await graphs.runnable(GraphId("plain"), 1)
        await graphs.delete(GraphId("plain"))
        while await old.forget_version(datetime.now(UTC) + timedelta(days=1), rows=10):
            pass
        made = await graphs.create(PLAIN)

        assert made.version == 2
        for forgotten in (graphs.runnable, graphs.replayable):
            with pytest.raises(InvalidInput) as caught:
                await forgotten(GraphId("plain"), 1)
            assert caught.value.problems[0].code == "unknown_version"
