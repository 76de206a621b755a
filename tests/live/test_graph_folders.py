"""Graphs from folders, as the service shows them."""

import json
from pathlib import Path
from typing import Any

from tests.live.serving import serving
from tests.live.test_graphs import definition


def write(folder: Path, **fields: Any) -> None:
    (folder / "made.json").write_text(json.dumps(definition(**fields)))


async def test_what_is_wrong_with_a_file_is_shown_with_the_last_good_version(tmp_path: Path) -> None:
    folder = tmp_path / "graphs"
    folder.mkdir()
    write(folder, name="Good")
    async with serving(tmp_path, graphs=(folder,)) as service:
        good = (await service.client.get("/graphs/made")).json()
    write(folder, name="Broken", entry=["nowhere"])

    async with serving(tmp_path, graphs=(folder,)) as service:
        broken = await service.client.get("/graphs/made")
        listed = (await service.client.get("/graphs")).json()["items"]
        ran = await service.run("made")
        put = await service.client.put("/graphs/made", json=definition(), headers={"If-Match": "*"})
    write(folder, name="Good again")
    async with serving(tmp_path, graphs=(folder,)) as service:
        mended = (await service.client.get("/graphs/made")).json()

    assert good["problems"] == []
    assert [problem["pointer"] for problem in broken.json()["problems"]] == ["/entry/0"]
    assert (broken.json()["version"], broken.json()["definition"]["name"]) == (1, "Good")
    assert broken.headers["cache-control"] == "no-store"
    assert [(item["source"], item["valid"], item["read_only"]) for item in listed] == [("folder", True, True)]
    assert (ran["graph_version"], ran["status"]) == (1, "completed")
    assert (put.status_code, put.json()["code"]) == (409, "graph_read_only")
    assert (mended["version"], mended["problems"]) == (2, [])


async def test_a_graph_whose_folder_is_not_there_any_more_is_changed_here(tmp_path: Path) -> None:
    folder = tmp_path / "graphs"
    folder.mkdir()
    write(folder)
    async with serving(tmp_path, graphs=(folder,)):
        pass

    async with serving(tmp_path, graphs=()) as service:
        (before,) = (await service.client.get("/graphs")).json()["items"]
        put = await service.client.put("/graphs/made", json=definition(name="Mine"), headers={"If-Match": '"1"'})
        (after,) = (await service.client.get("/graphs")).json()["items"]

    assert (before["source"], before["read_only"]) == ("folder", False)
    assert put.status_code == 200
    assert (after["source"], after["name"]) == ("api", "Mine")
