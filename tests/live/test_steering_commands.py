"""Executions on a server are steered from a shell."""

import asyncio
import json
from typing import Any

import pytest

from graphwire.client import AsyncClient
from tests.cli.command import Terminal
from tests.live.control import gates
from tests.live.serving import Service
from tests.live.test_server_commands import Call, call as call, url
from tests.live.test_steering_everywhere import settled
from tests.waiting import PATIENCE_S

__all__ = ["call"]


async def until(event: asyncio.Event, other: asyncio.Task[Any]) -> None:
    """Wait for an event; what is watched meanwhile must not fail."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait([waiting, other], return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        await other
        raise AssertionError("it ended too soon")


@pytest.mark.capability("CLN-08", "CTL-11")
async def test_an_execution_is_paused_edited_stepped_and_resumed_from_a_shell(service: Service, call: Call) -> None:
    execution = await service.start("steered", state={"gate": "shell"})
    await gates["shell"].reached.wait()

    early = await call(service, "executions", "resume", execution)
    paused = await call(service, "executions", "pause", execution, "--json")
    gates["shell"].opened.set()
    async with AsyncClient(url(service)) as client:
        await settled(client, execution)
        edited = await call(service, "executions", "edit", execution, "n=40", "word=two words", "--delete", "gate")
        nothing = await call(service, "executions", "edit", execution)
        stepped = await call(service, "executions", "step", execution)
        await settled(client, execution)
        state = await call(service, "executions", "state", execution)
        resumed = await call(service, "executions", "resume", execution)
        result = await client.executions.wait(execution)

    assert early.returncode == 2
    assert "cannot resume: the execution is running\nIt takes: cancel, pause," in early.stderr
    assert json.loads(paused.stdout)["applied_seq"] > 1
    assert (edited.returncode, f"{execution} has other values: n, word, gate (event" in edited.stderr) == (0, True)
    assert (nothing.returncode, "say what changes" in nothing.stderr) == (2, True)
    assert (stepped.returncode, resumed.returncode) == (0, 0)
    assert json.loads(state.stdout) == {"n": 41, "word": "two words"}
    assert (result.status, result.state) == ("completed", {"n": 51, "word": "two words"})


@pytest.mark.capability("CLN-08", "CTL-11")
async def test_breakpoints_are_set_shown_and_cleared_from_a_shell(service: Service, call: Call) -> None:
    execution = await service.start("steered", state={"gate": "points"})
    await gates["points"].reached.wait()

    none = await call(service, "executions", "breakpoints", execution)
    wrong = await call(service, "executions", "breakpoints", execution, "secnd")
    when = await call(service, "executions", "breakpoints", execution, "second:during")
    some = await call(service, "executions", "breakpoints", execution, "first:after", "second", "--if", "state.n > 0")
    listed = await call(service, "executions", "breakpoints", execution)
    as_json = await call(service, "executions", "breakpoints", execution, "--json")
    cleared = await call(service, "executions", "breakpoints", execution, "--clear")
    gates["points"].opened.set()
    async with AsyncClient(url(service)) as client:
        assert (await client.executions.wait(execution)).status == "completed"

    assert none.stderr == "It has no breakpoints.\n"
    assert (wrong.returncode, 'did you mean "second"?' in wrong.stderr) == (2, True)
    assert (when.returncode, "NODE:after" in when.stderr) == (2, True)
    assert f"{execution} pauses at 2 places (event" in some.stderr
    assert listed.stderr.splitlines() == [
        "after first if state.n > 0; hit 0 times",
        "before second if state.n > 0; hit 0 times",
    ]
    assert [each["node"] for each in json.loads(as_json.stdout)["breakpoints"]] == ["first", "second"]
    assert "has no breakpoints" in cleared.stderr


@pytest.mark.capability("CLN-08", "CTL-11")
async def test_a_run_that_asks_says_what_to_type_and_goes_on_with_the_answer(service: Service, call: Call) -> None:
    shown, answered = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch() -> tuple[int, str]:
        with Terminal(("run", "asking", "--server", url(service)), columns=160) as terminal:
            terminal.wait_for(" VALUE   # ask")
            loop.call_soon_threadsafe(shown.set)
            asyncio.run_coroutine_threadsafe(answered.wait(), loop).result(PATIENCE_S)
            return terminal.wait_ended(), terminal.text

    watching = asyncio.create_task(asyncio.to_thread(watch))
    await until(shown, watching)
    (found,) = (await service.client.get("/executions")).json()["items"]
    execution = found["id"]
    wrong = await call(service, "executions", "input", execution, '{"ok": "yes"}')
    page = await call(service, "executions", "show", execution)
    first = await call(service, "executions", "input", execution, '{"ok": true}')
    async with AsyncClient(url(service)) as client:
        async with client.follow(execution, types=["node_suspended"]) as stream:
            asked = [(await stream.recv()).data for _ in range(2)]
    second = await call(service, "executions", "input", execution, "Ada", "--interrupt", asked[1].interrupt_id)  # type: ignore[union-attr]
    answered.set()
    status, text = await watching
    late = await call(service, "executions", "input", execution, "Ada")

    assert (wrong.returncode, "/value/ok: " in wrong.stderr) == (2, True)
    assert 'ask: "sure?"' in page.stdout
    assert (first.returncode, second.returncode) == (0, 0)
    assert f"graphwire executions input {execution} VALUE" in text
    assert 'ask waits to be told: "sure?"' in text
    assert "waiting for input" in text
    assert (status, "completed after" in text) == (0, True)
    assert (late.returncode, late.stderr) == (2, "error: the execution waits for no answer\n")


@pytest.mark.capability("CLN-08")
async def test_a_run_that_is_paused_says_how_to_resume_it(service: Service, call: Call) -> None:
    shown = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch() -> tuple[int, str]:
        arguments = ("run", "steered", "--server", url(service), "--set", "gate=watched")
        with Terminal(arguments, columns=160) as terminal:
            terminal.wait_for("of 3 nodes")
            loop.call_soon_threadsafe(shown.set)
            terminal.wait_for("or: step, state, edit, cancel")
            asyncio.run_coroutine_threadsafe(resume(), loop).result(PATIENCE_S)
            return terminal.wait_ended(), terminal.text

    async def resume() -> None:
        await service.client.post(f"/executions/{execution}/resume")

    watching = asyncio.create_task(asyncio.to_thread(watch))
    await until(shown, watching)
    await until(gates["watched"].reached, watching)
    (execution,) = [each["id"] for each in (await service.client.get("/executions")).json()["items"]]
    assert (await call(service, "executions", "pause", execution)).returncode == 0
    gates["watched"].opened.set()
    status, text = await watching

    assert (status, "goes on after" in text) == (0, True)
