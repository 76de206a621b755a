"""A fork that its process left unfinished is gone on with, from the past that was stored with it."""

from pathlib import Path

from tests.live.control import gates, keys
from tests.live.serving import serving


async def test_a_fork_is_taken_up_by_the_next_process(tmp_path: Path) -> None:
    async with serving(tmp_path, drain_s=0.2) as service:
        original = await service.start("paid")
        await gates["gate"].reached.wait()
        body = {"state": {"gate": "other", "name": "Grace"}}
        fork = (await service.client.post(f"/executions/{original}/fork", json=body)).json()["id"]
        await gates["other"].reached.wait()
    gates["gate"].opened.set()
    gates["other"].opened.set()

    async with serving(tmp_path) as service:
        await service.events(original)
        events = await service.events(fork)
        states = [(await service.client.get(f"/executions/{each}/state")).json()["state"] for each in (original, fork)]

    assert [state["farewell"] for state in states] == ["Bye, Ada", "Bye, Grace"]
    assert states[1]["greeting"] == "Hello, Ada"
    assert "before" not in {block.data.get("node_id") for block in events}
    assert len({key for key in keys if key.startswith(fork)}) == 1
