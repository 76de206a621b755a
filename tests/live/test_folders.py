"""Folders with graphs that change while the service runs."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.live.control import gates
from tests.live.log_lines import LogLines, log_lines
from tests.live.serving import Service, serving

ANY_VERSION = {"If-Match": "*"}
PYTHON = "from graphwire import Graph\n\ngraph = Graph('coded', state={{'n': 0}})\n\n\n@graph.node()\n{body}"
WAITS = """async def work():
    from tests.live.control import gates
    await gates["work"].pass_through()
    return {"n": 1}
"""
DONE = "def work():\n    return {'n': 2}\n"


def definition(graph_id: str = "plain", **fields: Any) -> dict[str, Any]:
    return {"id": graph_id, "nodes": [{"id": "a", "type": "delay", "config": {"seconds": 0}}], **fields}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "graphs"
    path.mkdir()
    return path


@pytest_asyncio.fixture
async def lines() -> AsyncIterator[LogLines]:
    with log_lines("app.services.folders") as found:
        yield found


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what the system does not tell, which a service finds when it looks by itself."""
    monkeypatch.setattr("app.services.folders._SWEEP_S", 0.5)


@asynccontextmanager
async def watching(tmp_path: Path, *folders: Path, **changes: Any) -> AsyncIterator[Service]:
    async with serving(tmp_path, graphs=folders or (tmp_path / "graphs",), **changes) as service:
        yield service


def save(path: Path, value: Any) -> None:
    """Write a file as an editor does: whole, or not at all."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(value if isinstance(value, str) else json.dumps(value))
    beside.replace(path)


async def get(service: Service, graph_id: str = "plain") -> dict[str, Any]:
    answer = await service.client.get(f"/graphs/{graph_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_file_that_is_changed_or_added_is_a_new_version(tmp_path: Path, folder: Path, lines: LogLines) -> None:
    save(folder / "plain.json", definition())
    async with watching(tmp_path) as service:
        first = await get(service)
        save(folder / "plain.json", definition(name="Second"))
        await lines.until("plain.json", "version 2")
        second = await get(service)
        save(folder / "added.yaml", "id: added\nnodes:\n  - {id: a, type: delay, config: {seconds: 0}}\n")
        await lines.until("added.yaml", "version 1")
        ran = await service.run("added")

    assert (first["version"], second["version"], second["definition"]["name"]) == (1, 2, "Second")
    assert second["problems"] == []
    assert ran["status"] == "completed"


async def test_an_execution_keeps_the_code_that_it_began_with(tmp_path: Path, folder: Path, lines: LogLines) -> None:
    save(folder / "coded.py", PYTHON.format(body=WAITS))
    async with watching(tmp_path) as service:
        started = await service.start("coded")
        await gates["work"].reached.wait()
        save(folder / "coded.py", PYTHON.format(body=DONE))
        await lines.until("coded.py", "version 2")
        new = await service.run("coded")
        gates["work"].opened.set()
        await service.events(started)
        old = (await service.client.get(f"/executions/{started}/state")).json()
        again = await service.run("coded", version=1)

    assert (old["state"], new["state"], new["graph_version"]) == ({"n": 1}, {"n": 2}, 2)
    assert (again["state"], again["graph_version"]) == ({"n": 1}, 1)  # its code is still there


@pytest.mark.bad_input(39)
async def test_a_broken_file_leaves_the_last_good_version_and_shows_what_is_wrong_until_it_is_mended(
    tmp_path: Path, folder: Path, lines: LogLines
) -> None:
    whole = json.dumps(definition(name="Second"), indent=1)
    save(folder / "plain.json", definition())
    async with watching(tmp_path) as service:
        (folder / "plain.json").write_text(whole[:40])  # half-written
        told = await lines.until("plain.json:5:")
        broken = await service.client.get("/graphs/plain")
        ran = await service.run("plain")
        put = await service.client.put("/graphs/plain", json=definition(), headers=ANY_VERSION)
        (folder / "plain.json").write_text(whole)
        await lines.until("plain.json", "version 2")
        mended = await get(service)

    (problem,) = broken.json()["problems"]
    assert problem["file"] == "plain.json"
    assert f"plain.json:{problem['line']}:{problem['column']}: " in told
    assert str(tmp_path) not in broken.text
    assert broken.headers["cache-control"] == "no-store"
    assert (broken.json()["version"], ran["graph_version"], ran["status"]) == (1, 1, "completed")
    assert (put.status_code, put.json()["code"]) == (409, "graph_read_only")
    assert (mended["version"], mended["problems"]) == (2, [])


async def test_a_definition_that_means_nothing_is_shown_with_every_place(
    tmp_path: Path, folder: Path, lines: LogLines
) -> None:
    good = "id: plain\nnodes:\n  - id: a\n    type: delay\n    config: {seconds: 0}\n"
    save(folder / "plain.yaml", good)
    async with watching(tmp_path) as service:
        save(folder / "plain.yaml", good + "edges:\n  - {source: a, target: nowhere}\n  - {source: b, target: a}\n")
        await lines.until("plain.yaml:8:")
        await lines.until("plain.yaml:1:1:", "/entry")
        problems = (await get(service))["problems"]
        save(folder / "plain.yaml", good)
        await lines.until("plain.yaml", "nothing is wrong any more")
        mended = await get(service)

    assert [(each["pointer"], each["file"], each["line"], each["column"]) for each in problems] == [
        ("/edges/0/target", "plain.yaml", 7, 25),
        ("/edges/1/source", "plain.yaml", 8, 14),
        ("/entry", "plain.yaml", 1, 1),
    ]
    assert (mended["problems"], mended["version"]) == ([], 1)


@pytest.mark.bad_input(37)
@pytest.mark.parametrize(
    ("body", "line", "text"),
    [
        ("def work(:\n    pass\n", 7, "syntax error"),
        ("def work():\n    pass\n\nimport os\nos._exit(1)\n", 11, "os._exit(1)"),
        ("def work():\n    pass\n\nwhile True:\n    pass\n", None, "still runs after 1 s"),
        ("def work():\n    pass\n\nx = bytearray(2**30)\n", 10, "MemoryError"),
    ],
    ids=["syntax", "exit", "endless", "memory"],
)
async def test_code_that_does_not_run_leaves_the_last_good_version(
    tmp_path: Path, folder: Path, lines: LogLines, body: str, line: int | None, text: str
) -> None:
    save(folder / "coded.py", PYTHON.format(body=DONE))
    # The first file must pass in its time, too, however busy the machine is.
    async with watching(tmp_path, code_check_timeout_s=1.0 if line is None else 30.0) as service:
        save(folder / "coded.py", PYTHON.format(body=body))
        await lines.until("coded.py", text)
        (problem,) = (await get(service, "coded"))["problems"]
        ran = await service.run("coded")

    assert (problem["code"], problem["file"]) == ("code_failed", "coded.py")
    assert problem["line"] == line if line is not None else problem["line"] in (10, 11)
    assert str(tmp_path) not in json.dumps(problem)
    assert (ran["state"], ran["graph_version"]) == ({"n": 2}, 1)


@pytest.mark.bad_input(39)
async def test_a_graph_whose_file_is_gone_stays_with_a_mark_and_can_be_deleted_and_come_back(
    tmp_path: Path, folder: Path, lines: LogLines
) -> None:
    save(folder / "plain.json", definition())
    async with watching(tmp_path) as service:
        before = (await service.client.get("/graphs")).json()["items"]
        (folder / "plain.json").unlink()
        await lines.until("plain.json", "any more; its last version stays")
        gone = await get(service)
        listed = (await service.client.get("/graphs")).json()["items"]
        ran = await service.run("plain")
        deleted = await service.client.delete("/graphs/plain")
        missing = await service.client.get("/graphs/plain")
        save(folder / "plain.json", definition(name="Back"))
        await lines.until("plain.json", "version 2")
        back = await get(service)

    assert [(each["code"], each["file"]) for each in gone["problems"]] == [("source_missing", "plain.json")]
    assert [(each["id"], each["read_only"]) for each in before] == [("plain", True)]
    assert [(each["id"], each["read_only"]) for each in listed] == [("plain", False)]
    assert (ran["status"], deleted.status_code, missing.status_code) == ("completed", 204, 404)
    assert (back["problems"], back["definition"]["name"]) == ([], "Back")


async def test_a_graph_whose_file_is_gone_can_be_taken_over_through_the_api(
    tmp_path: Path, folder: Path, lines: LogLines
) -> None:
    save(folder / "plain.json", definition())
    async with watching(tmp_path) as service:
        (folder / "plain.json").unlink()
        await lines.until("plain.json", "any more")
        put = await service.client.put("/graphs/plain", json=definition(name="Ours"), headers=ANY_VERSION)
        taken = await get(service)

    assert put.status_code == 200
    assert (taken["problems"], taken["definition"]["name"]) == ([], "Ours")


async def test_a_file_takes_over_a_graph_that_was_made_through_the_api_and_the_log_says_so(
    tmp_path: Path, folder: Path, lines: LogLines
) -> None:
    async with watching(tmp_path) as service:
        await service.client.post("/graphs", json=definition(name="Ours"))
        save(folder / "plain.json", definition(name="File"))
        await lines.until("plain.json", "made through the API")
        await lines.until("plain.json", "version 2")
        taken = await get(service)
        put = await service.client.put("/graphs/plain", json=definition(), headers=ANY_VERSION)

    assert (taken["version"], taken["definition"]["name"], put.status_code) == (2, "File", 409)


@pytest.mark.bad_input(37, 39, 40)
async def test_files_that_broke_or_went_while_the_service_was_away_are_told_at_its_start(
    tmp_path: Path, folder: Path, lines: LogLines
) -> None:
    save(folder / "plain.json", definition())
    save(folder / "gone.json", definition("gone"))
    save(folder / "coded.py", PYTHON.format(body=DONE))
    async with watching(tmp_path):
        pass
    save(folder / "plain.json", "{")
    (folder / "gone.json").unlink()
    save(folder / "coded.py", "import nothing_of_this_name\n")

    async with watching(tmp_path) as service:
        plain, gone, coded = [await get(service, name) for name in ("plain", "gone", "coded")]
        items = (await service.client.get("/graphs")).json()["items"]
        ran = await service.run("plain")
        refused = await service.client.post("/graphs/coded/execute")

    assert [each["code"] for each in plain["problems"]] == ["malformed_json"]
    assert [each["code"] for each in gone["problems"]] == ["source_missing"]
    assert {(each["code"], each.get("line")) for each in coded["problems"]} >= {("code_failed", 1)}
    assert {each["id"]: each["read_only"] for each in items} == {"plain": True, "gone": False, "coded": True}
    assert (ran["status"], refused.status_code, refused.json()["code"]) == ("completed", 422, "graph_invalid")


@pytest.mark.bad_input(39)
@pytest.mark.usefixtures("looks_often")
async def test_a_folder_that_goes_and_comes_back_is_watched_again(
    tmp_path: Path, folder: Path, lines: LogLines
) -> None:
    save(folder / "plain.json", definition())
    async with watching(tmp_path) as service:
        os.rename(folder, tmp_path / "away")
        await lines.until("graphs: the folder cannot be read")
        away = await get(service)
        refused = await service.client.delete("/graphs/plain")
        os.rename(tmp_path / "away", folder)
        await lines.until("nothing is wrong any more")
        back = await get(service)
        save(folder / "plain.json", definition(name="Second"))
        await lines.until("version 2")

    assert [each["code"] for each in away["problems"]] == ["folder_unreadable"]
    assert (refused.status_code, back["problems"]) == (409, [])


async def test_of_two_folders_the_first_has_a_graph_and_the_other_follows(
    tmp_path: Path, folder: Path, lines: LogLines
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    save(folder / "plain.json", definition(name="First"))
    save(other / "plain.json", definition(name="Other"))
    async with watching(tmp_path, folder, other) as service:
        told = await lines.until("other/plain.json", "a folder before this one")
        first = await get(service)
        (folder / "plain.json").unlink()
        await lines.until("other/plain.json", "version 2")
        second = await get(service)

    assert "/id" in told
    assert (first["definition"]["name"], second["definition"]["name"]) == ("First", "Other")


@pytest.mark.bad_input(39)
@pytest.mark.parametrize("broken", ["{", json.dumps({"id": "plain"})], ids=["unreadable", "no nodes"])
async def test_a_broken_file_keeps_its_graph_from_another_file_with_its_id_until_it_is_gone(
    tmp_path: Path, folder: Path, lines: LogLines, broken: str
) -> None:
    save(folder / "a.json", definition(name="Production"))
    save(folder / "b.json", definition(name="Draft"))
    async with watching(tmp_path) as service:
        save(folder / "a.json", broken)
        await lines.until("a.json:1:")
        kept = await get(service)
    async with watching(tmp_path) as service:  # which is known by what is stored
        again = await get(service)
        (folder / "a.json").unlink()
        await lines.until("b.json", "version 2")
        left = await get(service)

    assert [(each["version"], each["definition"]["name"]) for each in (kept, again)] == [(1, "Production")] * 2
    assert {each["file"] for each in [*kept["problems"], *again["problems"]]} == {"a.json"}
    assert (left["definition"]["name"], left["problems"]) == ("Draft", [])


@pytest.mark.bad_input(38)
@pytest.mark.usefixtures("looks_often")
async def test_a_folder_that_is_none_does_not_keep_the_service_from_starting(
    tmp_path: Path, folder: Path, lines: LogLines
) -> None:
    save(folder / "plain.json", definition())
    nowhere, nul, file = tmp_path / "nowhere", Path("a\0b"), tmp_path / "file"
    file.write_text("")
    async with watching(tmp_path, nowhere, nul, file, folder) as service:
        ran = await service.run("plain")
        shutil.copytree(folder, nowhere)
        save(nowhere / "plain.json", definition("late"))
        await lines.until("late", "version 1")

    assert ran["status"] == "completed"


@pytest.mark.bad_input(38)
@pytest.mark.skipif(sys.platform != "linux", reason="no such names elsewhere")
@pytest.mark.usefixtures("looks_often")
async def test_a_file_whose_name_is_no_text_ends_neither_the_service_nor_the_watch(
    tmp_path: Path, folder: Path, lines: LogLines
) -> None:
    save(folder / "plain.json", definition())
    unnamed = os.fsencode(folder) + b"/other\xfe.json"
    async with watching(tmp_path) as service:
        save(Path(os.fsdecode(unnamed)), definition("other"))
        await lines.until("other\\xfe.json", "name")
        save(folder / "plain.json", definition(name="Second"))
        await lines.until("plain.json", "version 2")
        second = await get(service)
        missing = await service.client.get("/graphs/other")

    assert (second["definition"]["name"], missing.status_code) == ("Second", 404)


@pytest.mark.bad_input(38)
@pytest.mark.skipif(sys.platform != "linux", reason="no such names elsewhere")
@pytest.mark.usefixtures("looks_often")
async def test_files_and_folders_whose_names_are_no_text_do_not_keep_the_service_from_starting(
    tmp_path: Path, folder: Path, lines: LogLines
) -> None:
    save(folder / "plain.json", definition())
    unnamed = Path(os.fsdecode(os.fsencode(tmp_path) + b"/graphs\xfe"))
    os.mkdir(unnamed)
    for place, name in ((folder, b"other\xfe.json"), (folder, b"code\xfe.py"), (unnamed, b"inner.json")):
        save(place / os.fsdecode(name), definition("other") if b"json" in name else "x = 1\n")
    async with watching(tmp_path, unnamed, folder) as service:
        for text in ("graphs\\xfe", "code\\xfe.py", "other\\xfe.json"):
            await lines.until(text)
        ran = await service.run("plain")
        missing = await service.client.get("/graphs/other")
        save(folder / "plain.json", definition(name="Second"))
        await lines.until("plain.json", "version 2")

    assert (ran["status"], missing.status_code) == ("completed", 404)


async def test_changes_are_found_although_the_watch_of_the_system_breaks(
    tmp_path: Path, folder: Path, lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> AsyncIterator[Any]:
        raise ExceptionGroup("watch", [RuntimeError("broken inside")])

    monkeypatch.setattr("app.services.folders.awatch", broken)
    monkeypatch.setattr("app.services.folders._SWEEP_S", 0.05)
    save(folder / "plain.json", definition())
    async with watching(tmp_path) as service:
        await lines.until("cannot be watched", "broken inside")
        for number in (2, 3):
            save(folder / "plain.json", definition(name=f"Change {number}"))
            await lines.until("plain.json", f"version {number}")
        ready = await service.client.get("/health/ready")

    assert ready.status_code == 200


@pytest.mark.bad_input(37)
@pytest.mark.parametrize("is_watched", [True, False])
async def test_what_cannot_be_tried_in_the_time_of_the_start_is_taken_over_afterwards(
    tmp_path: Path, folder: Path, lines: LogLines, monkeypatch: pytest.MonkeyPatch, is_watched: bool
) -> None:
    monkeypatch.setattr("app.services.folders._START_S", 0.0)
    save(folder / "coded.py", PYTHON.format(body=DONE))
    save(folder / "plain.json", definition())
    async with watching(tmp_path, watch_graphs=is_watched) as service:
        plain = await service.run("plain")
        await lines.until("coded.py", "has not been tried yet")
        await lines.until("coded.py", "nothing is wrong any more")
        coded = await service.run("coded")

    assert (plain["status"], coded["state"]) == ("completed", {"n": 2})


@pytest.mark.bad_input(37)
async def test_the_service_answers_and_stops_while_code_is_tried_that_does_not_end(
    tmp_path: Path, folder: Path, lines: LogLines
) -> None:
    save(folder / "plain.json", definition())
    running = tmp_path / "running"
    os.mkfifo(running)
    source = f"with open({str(running)!r}, 'w') as file:\n    file.write('.')\nwhile True:\n    pass\n"
    async with watching(tmp_path, code_check_timeout_s=3_600) as service:
        save(folder / "endless.py", source)
        await asyncio.to_thread(running.read_text)  # until it runs
        ready = await service.client.get("/health/ready")
        ran = await service.run("plain")

    assert (ready.status_code, ran["status"]) == (200, "completed")
    assert [line for line in lines.lines if "endless.py" in line] == []


async def test_what_is_wrong_is_logged_once(tmp_path: Path, folder: Path, lines: LogLines) -> None:
    save(folder / "broken.json", "{")
    async with watching(tmp_path):
        save(folder / "plain.json", definition())
        await lines.until("plain.json", "version 1")
        save(folder / "plain.json", definition(name="Second"))
        await lines.until("plain.json", "version 2")

    assert [line for line in lines.lines if "broken.json" in line] == []


async def test_nothing_is_watched_where_the_setting_says_so(tmp_path: Path, folder: Path) -> None:
    save(folder / "plain.json", definition())
    async with watching(tmp_path, watch_graphs=False) as service:
        ran = await service.run("plain")
        names = {task.get_name() for task in asyncio.all_tasks()}

    assert ran["status"] == "completed"
    assert "folders" not in names
