"""The census of Python source, on small folders and, in the long run, on the standard library."""

import os
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from graphwire import Finished, run
from graphwire.engine.plan import Plan
from graphwire.events.encoding import Envelope

A = """import os, sys
from collections.abc import Mapping
from . import sibling

class Thing:
    def method(self):
        if True:
            import json
        return 1
"""
B = """import os.path
async def long_one():
    x = 1 if True else 2
    \"\\d\"
    return x
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    source = tmp_path / "source"
    for name, text in {
        "a.py": A,
        "package/b.py": B,
        "package/broken.py": "def (:\n",
        "package/nul.py": "x = '\0'\n",
        "package/notes.txt": "no Python",
        "site-packages/other.py": "import never\n",
        "tests/test_a.py": "import never\n",
    }.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "outside.py").write_text("import never\n")
    (source / "link.py").symlink_to(tmp_path / "outside.py")
    monkeypatch.setenv("GRAPHWIRE_CENSUS_FOLDERS", os.pathsep.join(["", str(source)]))
    return source


async def census(plans: dict[str, Plan], state: dict[str, Any], events: list[Envelope] | None = None) -> Finished:
    return await run(plans["code_census"], state, on_event=None if events is None else events.append)


@pytest.mark.capability("CLN-12")
async def test_a_folder_is_counted(plans: dict[str, Plan], folder: Path) -> None:
    finished = await census(plans, {"folder": str(folder)})

    assert finished.error is None
    assert set(finished.state) == {"folder", "figure", "report"}
    report = finished.state["report"]
    assert report["counts"] == {
        "files": 2,
        "lines": 14,
        "bytes": len(A) + len(B),
        "classes": 1,
        "functions": 2,
        "broken": 2,
    }
    assert report["packages"] == [["a", 9], ["package", 5]]
    assert report["longest_functions"] == [
        {"function": "method", "file": "a.py", "line": 6, "lines": 4},
        {"function": "long_one", "file": "package/b.py", "line": 2, "lines": 4},
    ]
    assert report["most_imported"] == [["os", 2], ["collections", 1], ["json", 1], ["sys", 1]]


@pytest.mark.capability("CLN-12")
async def test_the_stream_tells_what_is_done_on_the_way(plans: dict[str, Plan], folder: Path) -> None:
    events: list[Envelope] = []

    await census(plans, {"folder": str(folder)}, events)

    types = {event.type for event in events}
    assert {"node_progress", "node_log", "node_message"} <= types
    batches = [event for event in events if event.type == "node_message"]
    assert len(batches) == 4
    assert all(event.path and event.path[0]["node"] == "parse" for event in batches)


async def test_the_figure_is_well_formed_whatever_modules_are_called(plans: dict[str, Plan], folder: Path) -> None:
    finished = await census(plans, {"folder": str(folder / "package")})

    figure = ElementTree.fromstring(finished.state["figure"])
    assert figure.tag == "{http://www.w3.org/2000/svg}svg"
    assert "os" in [text.text for text in figure.iter("{http://www.w3.org/2000/svg}text")]


async def test_an_empty_folder_gives_an_empty_report(plans: dict[str, Plan], folder: Path) -> None:
    (folder / "empty").mkdir()

    finished = await census(plans, {"folder": str(folder / "empty")})

    assert finished.status == "completed"
    assert finished.state["report"]["longest_functions"] == []


@pytest.mark.bad_input(38)
@pytest.mark.parametrize("wrong", ["/", "/etc", "..", "nowhere", "a\0b", "", 5, ["/"]])
async def test_a_folder_outside_those_that_are_allowed_is_refused(
    plans: dict[str, Plan], folder: Path, wrong: object
) -> None:
    asked = f"{folder}/{wrong}" if wrong in ("..", "nowhere") else wrong

    finished = await census(plans, {"folder": asked})

    assert finished.status == "failed"
    assert finished.error is not None
    assert finished.error.code == "input_error"
    assert str(folder) not in finished.error.message


@pytest.mark.bad_input(38)
async def test_a_link_out_of_the_folder_is_not_followed(plans: dict[str, Plan], folder: Path) -> None:
    (folder / "out").symlink_to(folder.parent)

    finished = await census(plans, {"folder": str(folder / "out")})

    assert finished.error is not None
    assert finished.error.code == "input_error"


@pytest.mark.capability("CLN-12")
async def test_the_standard_library_is_counted(plans: dict[str, Plan]) -> None:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)  # as the service does: threads meet in the parser far more often
    try:
        finished = await census(plans, {})
    finally:
        sys.setswitchinterval(usual)

    assert finished.error is None
    assert finished.state["report"]["counts"]["files"] > 300
    assert finished.state["report"]["most_imported"][0][0] == "sys"
