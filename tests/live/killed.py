"""A reader that outlives the servers which it reads from, answers what is asked, and keeps what a reader may keep."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import httpx

ANSWER = {"sure": True}
NDJSON = {"Accept": "application/x-ndjson", "Accept-Encoding": "identity"}


class Line(NamedTuple):
    """An event as it came, and what it says."""

    raw: bytes
    event: dict[str, Any]

    @property
    def seq(self) -> int:
        """Its number."""
        return int(self.event["seq"])


class Follower:
    """Follows one execution through any number of servers.

    Args:
        path: Of the execution.
        durability: With ``sync``, whatever came must stay.
        told: Called at each line.

    Attributes:
        kept: The lines that count: what ``checkpoint_restored`` took back is dropped.
        highest: The greatest number that was ever seen.
        has_committed: Whether a node completed since ``restart``.
        has_ended: Whether the sentinel came.
        restored: How often it was restored.
    """

    def __init__(self, path: str, graph: str, durability: str, told: Callable[[], None]) -> None:
        self.path = path
        self.graph = graph
        self.durability = durability
        self._told = told
        self.kept: list[Line] = []
        self.highest = 0
        self.has_committed = False
        self.has_ended = False
        self.restored = 0

    @property
    def state(self) -> Any:
        """The state with which it completed."""
        (completed,) = (line.event for line in self.kept if line.event["type"] == "execution_completed")
        return completed["data"]["state"]

    async def follow(self, client: httpx.AsyncClient) -> None:
        """Read until the end, or until the server is gone."""
        with suppress(httpx.TransportError):
            shown = await client.get(self.path)
            assert shown.status_code == 200, shown.text
            for interrupt in shown.json()["interrupts"]:
                await self._answer(client, interrupt["interrupt_id"])
            path = f"{self.path}/events?after={self.highest}"
            async with client.stream("GET", path, headers=NDJSON) as answer:
                assert answer.status_code == 200
                rest = b""
                async for chunk in answer.aiter_raw():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for raw in lines:
                        await self._take(client, raw)

    async def _take(self, client: httpx.AsyncClient, raw: bytes) -> None:
        event = json.loads(raw) if raw.strip() else {}
        if "seq" not in event:
            return
        line = Line(raw, event)
        assert line.seq > self.highest, "a number came twice"
        if event["type"] == "checkpoint_restored":
            valid_to = event["data"]["valid_to"]
            assert self.durability == "async" or valid_to >= self.highest, "what was seen was taken back"
            self.kept = [each for each in self.kept if each.seq <= valid_to]
            self.restored += 1
        self.kept.append(line)
        self.highest = line.seq
        self.has_committed |= event["type"] == "node_completed"
        self.has_ended |= event["type"] == "stream_end"
        self._told()
        if event["type"] == "node_suspended":
            await self._answer(client, event["data"]["interrupt_id"])

    async def _answer(self, client: httpx.AsyncClient, interrupt: str) -> None:
        answer = await client.post(f"{self.path}/input", json={"interrupt_id": interrupt, "value": ANSWER})
        assert answer.status_code in (202, 404, 409), answer.text  # it may have been answered before

    async def secure(self, client: httpx.AsyncClient) -> None:
        """Return when all that was seen is stored: a command is stored before it is acknowledged."""
        answer = await client.put(f"{self.path}/breakpoints", json=[])
        assert answer.status_code in (202, 409), answer.text


def check_history(lines: list[Line]) -> None:
    """Check the whole of what is stored of an execution that was killed again and again."""
    seq = 0
    attempts: dict[str, int] = {}
    done: set[str] = set()
    for line in lines:
        event, data = line.event, line.event["data"]
        if event["type"] == "checkpoint_restored":
            assert (data["valid_to"], data["next"]) == (seq, line.seq), "the gap is not the one that is named"
        else:
            assert line.seq == seq + 1, "a gap, or a number twice"
        seq = line.seq
        activation = event.get("activation", "")
        if event["type"] == "node_started":
            assert activation not in done, "what was committed began again"
            assert data["attempt"] > attempts.get(activation, 0), (activation, line.seq)
            attempts[activation] = data["attempt"]
        elif event["type"] == "node_suspended":
            attempts[activation] = data["attempt"] - 1  # with the answer the same attempt is made from its top
        elif event["type"] == "node_completed":
            assert activation not in done
            done.add(activation)
    assert lines[-1].event["data"]["total_events"] == len(lines)
