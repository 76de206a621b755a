"""The commands that talk to a server, beside a real one. Those that hear signals are processes, the others threads."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

from graphwire.cli.main import main
from graphwire.client import AsyncClient
from tests.cli.command import Terminal, graphwire
from tests.live.control import gates
from tests.live.serving import Service, serving
from tests.proxy import proxied
from tests.waiting import PATIENCE_S


@dataclass
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Call: TypeAlias = Callable[..., Awaitable[Done]]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call a command in a thread, beside the server that it talks to."""

    def run() -> int:
        try:
            main()
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 0
        return 0

    async def call(service: Service, *arguments: str | Path, key: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["graphwire", *map(str, arguments)])
        monkeypatch.setenv("GRAPHWIRE_URL", url(service))
        monkeypatch.setenv("GRAPHWIRE_API_KEY", key)
        monkeypatch.setenv("NO_COLOR", "1")
        capfd.readouterr()
        status = await asyncio.to_thread(run)
        return Done(status, *capfd.readouterr())

    return call


KEY = "k" * 16
GRAPH = """\
id: sum
nodes:
  - id: add
    type: transform
    config: {set: {n: 1 + 1}}
"""


def url(service: Service) -> str:
    return f"http://127.0.0.1:{service.port}"


@pytest.mark.capability("CLN-08")
async def test_graphs_are_pushed_compared_listed_and_pulled(service: Service, tmp_path: Path, call: Call) -> None:
    path = tmp_path / "sum.yaml"
    path.write_text(GRAPH)

    created = await call(service, "graphs", "push", path)
    path.write_text(GRAPH.replace("1 + 1", "2 + 2"))
    differs = await call(service, "graphs", "diff", path)
    changed = await call(service, "graphs", "push", path)
    same = await call(service, "graphs", "diff", path, "--json")
    versions = await call(service, "graphs", "diff", "sum")
    listed = await call(service, "graphs", "list", "--search", "sum", "--json")
    pulled = await call(service, "graphs", "pull", "sum", "--version", "1", "-o", tmp_path / "pulled.json")

    assert (created.returncode, created.stderr) == (0, "sum: version 1, created\n")
    line = '~ node add /config/set/n: "1 + 1" → "2 + 2"'
    assert (differs.returncode, differs.stdout) == (1, f"sum: version 1 → the file\n{line}\n")
    assert changed.stderr == "sum: version 2, changed\n"
    assert (same.returncode, json.loads(same.stdout)["graphs"][0]["nodes"]["changed"]) == (0, [])
    assert (versions.returncode, versions.stdout) == (1, f"sum: version 1 → version 2\n{line}\n")
    assert [(each["id"], each["version"]) for each in json.loads(listed.stdout)["items"]] == [("sum", 2)]
    assert pulled.returncode == 0
    assert json.loads((tmp_path / "pulled.json").read_bytes())["nodes"][0]["config"] == {"set": {"n": "1 + 1"}}


@pytest.mark.capability("CLN-08")
async def test_problems_of_a_graph_are_shown_with_their_lines(service: Service, tmp_path: Path, call: Call) -> None:
    path = tmp_path / "sum.yaml"
    path.write_text(GRAPH.replace("transform", "transfrom"))
    code = tmp_path / "code.py"
    code.write_text("from graphwire import Graph\n\ng = Graph('g')\n\n\n@g.node()\ndef a() -> int:\n    return 1\n")

    refused = await call(service, "graphs", "push", path)
    with_code = await call(service, "graphs", "push", code)

    assert refused.returncode == 2
    assert f'{path}:4:11: error[unknown_node_type] there is no node type "transfrom"' in refused.stderr
    assert "4 |     type: transfrom" in refused.stderr
    assert (with_code.returncode, "no server takes as data" in with_code.stderr) == (2, True)


@pytest.mark.capability("CLN-08")
async def test_a_graph_on_a_server_runs_as_one_here_does(service: Service, tmp_path: Path) -> None:
    async def call(*arguments: str | Path) -> CompletedProcess[str]:
        return await asyncio.to_thread(graphwire, "run", *arguments, GRAPHWIRE_URL=url(service))

    ran, lines, failed, unknown = await asyncio.gather(
        call("chain", "-o", tmp_path / "state.json"),
        call("chain", "--json"),
        call("failing", "-q"),
        call("nothing"),
    )

    assert (ran.returncode, ran.stdout) == (0, "")
    assert "third done in" in ran.stderr
    assert "completed after" in ran.stderr
    assert json.loads((tmp_path / "state.json").read_bytes()) == {"count": 3}
    assert [json.loads(line)["seq"] for line in lines.stdout.splitlines()] == list(range(1, 10))
    assert (failed.returncode, "ValueError: no luck" in failed.stderr) == (1, True)
    assert (unknown.returncode, unknown.stderr) == (2, 'error: there is no graph "nothing"\n')


@pytest.mark.capability("CLN-08", "CLN-09")
async def test_ctrl_c_cancels_a_run_on_a_server(service: Service) -> None:
    def watch() -> tuple[int, str]:
        with Terminal(("run", "gated", "--server", url(service), "--set", "gate=gate"), columns=120) as terminal:
            terminal.wait_for("of 1 nodes")
            terminal.wait_for("hold")
            terminal.press_ctrl_c()
            terminal.wait_for("Cancelling. Once more ends it at once.")
            return terminal.wait_ended(), terminal.text

    status, text = await asyncio.to_thread(watch)

    async with AsyncClient(url(service)) as client:
        (execution,) = (await client.executions.list()).items
        assert (execution.status, (await client.executions.get(execution.id)).reason) == (
            "cancelled",
            "stopped by SIGINT",
        )
    assert (status, "cancelled after" in text) == (130, True)


@pytest.mark.capability("CLN-08")
async def test_executions_are_listed_shown_and_cancelled(service: Service, call: Call) -> None:
    execution = await service.start("gated", state={"gate": "gate"})
    await gates["gate"].reached.wait()
    done = (await service.run("chain"))["id"]

    listed = await call(service, "executions", "list", "--status", "running", "--json")
    table = await call(service, "executions", "list", "--limit", "1")
    shown = await call(service, "executions", "show", done, "--state", "--json")
    cancelled = await call(service, "executions", "cancel", execution, "--reason", "no more", "--wait")
    again = await call(service, "executions", "cancel", execution)
    text = await call(service, "executions", "show", execution)

    assert [each["id"] for each in json.loads(listed.stdout)["items"]] == [execution]
    assert table.stdout.splitlines()[1].split()[:3] == [done, "chain", "completed"]
    assert json.loads(shown.stdout)["state"] == {"count": 3}
    assert cancelled.returncode == 0
    assert again.returncode == 2
    assert again.stderr == f"error: {execution}: cannot cancel: the execution is cancelled\nIt takes: fork.\n"
    assert "no more" in text.stdout


@pytest.mark.capability("CLN-08")
async def test_events_are_shown_followed_and_chosen(service: Service, call: Call) -> None:
    done = (await service.run("chain"))["id"]
    live = await service.start("talk", state={"count": 1, "gate": "gate"})
    await gates["gate"].reached.wait()

    lines = await call(service, "events", live, "--json")
    rest = await call(service, "events", done, "--json", "--after", "3", "--types", "node_started", "--nodes", "third")
    people = await call(service, "events", done)
    unknown = await call(service, "events", "nothing")
    following = asyncio.ensure_future(call(service, "events", live, "--follow", "--json"))
    gates["gate"].opened.set()
    followed = await following

    stored = [block.data for block in await service.events(live)]
    assert [json.loads(line)["seq"] for line in lines.stdout.splitlines()] == [1, 2, 3]
    assert [json.loads(line) for line in followed.stdout.splitlines()] == stored
    assert [json.loads(line)["seq"] for line in rest.stdout.splitlines()] == [6, 8, 9]
    assert ["node_completed", "first"] == people.stdout.splitlines()[2].split()[2:4]
    assert (unknown.returncode, unknown.stdout) == (2, "")


@pytest.mark.capability("CLN-08")
async def test_a_server_that_cannot_be_asked_is_told_in_a_sentence(tmp_path: Path, call: Call) -> None:
    async with serving(tmp_path, api_key=f"{KEY},{'o' * 16}") as service:
        keyless = await call(service, "executions", "list")
        keyed = await call(service, "executions", "list", key=f"{KEY},other")
        away = await call(service, "graphs", "list", "--server", "http://127.0.0.1:1")
        wrong = await call(service, "graphs", "list", "--server", "nonsense")
        twice = await call(service, "run", "chain", "--graph", "x")

    assert (keyless.returncode, "GRAPHWIRE_API_KEY holds the key" in keyless.stderr) == (2, True)
    assert keyed.returncode == 0
    assert away.returncode == 4
    assert away.stderr.startswith("error: http://127.0.0.1:1 cannot be reached")
    assert away.stderr.endswith("Is it running? --server or GRAPHWIRE_URL says where.\n")
    assert (wrong.returncode, "Invalid value for --server" in wrong.stderr) == (2, True)
    assert (twice.returncode, "Invalid value for --graph" in twice.stderr) == (2, True)


@pytest.mark.capability("CLN-08")
async def test_one_that_cannot_be_cancelled_keeps_no_other_from_being_cancelled(service: Service, call: Call) -> None:
    execution = await service.start("gated", state={"gate": "gate"})
    done = (await service.run("chain"))["id"]

    cancelled = await call(service, "executions", "cancel", done, "nothing", execution, "--wait")

    assert cancelled.returncode == 2
    assert [line.split()[1] for line in cancelled.stderr.splitlines() if line.startswith("error")] == [
        f"{done}:",
        "nothing:",
    ]
    assert (await service.client.get(f"/executions/{execution}")).json()["status"] == "cancelled"


@pytest.mark.capability("CLN-08", "CLN-09")
async def test_ctrl_c_while_a_run_is_being_started_cancels_it(service: Service) -> None:
    asked, held = asyncio.Event(), asyncio.Event()

    async def hold(request: bytes) -> None:
        asked.set()
        await held.wait()

    async with proxied(url(service)) as proxy:
        proxy.holds = hold
        loop = asyncio.get_running_loop()

        def watch() -> tuple[int, str]:
            with Terminal(("run", "gated", "--server", proxy.url, "--set", "gate=gate"), columns=120) as terminal:
                asyncio.run_coroutine_threadsafe(asked.wait(), loop).result(PATIENCE_S)
                terminal.press_ctrl_c()
                terminal.wait_for("Cancelling. Once more ends it at once.")
                loop.call_soon_threadsafe(held.set)
                return terminal.wait_ended(), terminal.text

        status, text = await asyncio.to_thread(watch)

    (execution,) = (await service.client.get("/executions")).json()["items"]
    assert (execution["status"], status, execution["id"] in text) == ("cancelled", 130, True)
