import logging

import pytest

from graphwire import Context, Graph, run
from graphwire.sinks import Log


@pytest.mark.capability("SNK-02")
async def test_each_event_is_a_line_with_its_level_and_its_execution(caplog: pytest.LogCaptureFixture) -> None:
    graph = Graph("noisy")

    @graph.node()
    async def talk(ctx: Context) -> None:
        ctx.log("careful", level="warning")
        raise ValueError("no such thing")

    with caplog.at_level(logging.INFO, "graphwire.events"):
        await run(graph, sinks=[Log()])

    lines = {record.message.split(":")[0]: record for record in caplog.records if record.name == "graphwire.events"}
    assert [(name, record.levelname) for name, record in lines.items()] == [
        ("execution_started", "INFO"),
        ("node_started talk", "INFO"),
        ("node_log talk", "WARNING"),
        ("node_failed talk", "WARNING"),
        ("execution_failed", "ERROR"),
        ("stream_end", "INFO"),
    ]
    assert {vars(record)["graph_id"] for record in lines.values()} == {"noisy"}
    assert "no such thing" in lines["node_failed talk"].message
    assert all(len(record.message) <= 200 for record in lines.values())
