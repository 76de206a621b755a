import json
import os
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len

from graphwire.cli.excerpts import excerpt
from graphwire.errors import Problem
from tests.cli.command import graphwire

BROKEN = Path(__file__).parent / "broken"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

TOLD = {
    "01-tab:3:1": "a tab cannot indent; use spaces",
    "02-indent:5:4": "the indentation is wrong",
    "03-bracket:3:1": 'a "," or "]" is missing in the list (it begins at line 2, column 8)',
    "04-doubled-key:6:5": "the key is there twice",
    "05-tag:3:34": "is not of the core schema; leave it out",
    "06-misspelt-field:5:5": 'there is no field "confg"; did you mean "config"?',
    "06-misspelt-field:3:5": 'the field "config" with "seconds" is missing',
    "07-misspelt-type:4:11": 'there is no node type "templte"; did you mean "template"?',
    "08-dangling-edge:5:29": 'there is no node "fecth"; did you mean "fetch"?',
    "09-doubled-node:4:10": "the same id as",
    "10-doubled-edge:7:5": "the same edge as",
    "11-expression:8:23": 'unexpected "=>": write >=',
    "12-unknown-root:6:35": 'unknown name "stat"; a key of the state is written state.stat',
    "13-template:8:34": "the expression is not complete",
    "14-number-as-text:6:16": "must be a number",
    "15-bad-id:1:5": "must be made of letters A to Z, digits and _ . - only",
    "16-no-entry:1:1": "every node has an incoming edge; name the nodes to begin at in entry",
    "17-unknown-entry:2:9": 'there is no node "start"',
    "18-reducer:3:21": 'there is no reducer "apend"; did you mean "append"?',
    "19-code:5:24": 'there is no module "prices"',
    "20-nothing:1:1": "the text is empty",
}


TWICE = """
from graphwire import Graph

one = Graph("same")
one.node("a", "delay", {"seconds": 0})
two = Graph("same")
two.node("a", "delay", {"seconds": 0})
"""
MIXED = """
from graphwire import Graph

one = Graph("good")
one.node("a", "delay", {"seconds": 0})
two = Graph("bad")
two.node("a", "none", {})
"""


@pytest.fixture(scope="module")
def shown() -> str:
    done = graphwire("validate", BROKEN)
    assert done.returncode == 1
    return done.stdout


@pytest.mark.parametrize("place", TOLD)
def test_each_broken_file_is_told_what_to_change_and_where(shown: str, place: str) -> None:
    name, line, column = place.split(":")
    (report,) = [each for each in shown.splitlines() if f"{name}.yaml:{line}:{column}: error[" in each]

    assert TOLD[place] in report


def test_the_line_stands_below_with_a_caret_at_the_place(shown: str) -> None:
    lines = shown.splitlines()
    (place,) = [index for index, line in enumerate(lines) if "07-misspelt-type" in line]

    assert lines[place + 1 : place + 3] == ["    4 |     type: templte", "      |           ^"]


def test_all_files_of_a_folder_are_counted(shown: str) -> None:
    assert shown.splitlines()[-1] == "23 errors, 0 warnings in 20 files"


def test_good_files_pass_and_warnings_do_not_fail_them(tmp_path: Path) -> None:
    odd = tmp_path / "odd.yaml"
    nodes = "[{id: a, type: delay, config: {seconds: 0}}, {id: b, type: delay, config: {seconds: 0}}]"
    odd.write_text(f"id: odd\nentry: [a]\nnodes: {nodes}\n", encoding="utf-8")

    done = graphwire("validate", EXAMPLES, odd)

    assert done.returncode == 0
    assert f"{odd}:3:53: warning[unreachable_node]" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("0 errors, 1 warning in ")


def test_programs_get_one_json_document() -> None:
    done = graphwire("validate", BROKEN / "07-misspelt-type.yaml", EXAMPLES / "hello.yaml", "--json")

    broken, hello = json.loads(done.stdout)["files"]
    assert (broken["valid"], broken["problems"][0]["line"], broken["problems"][0]["column"]) == (False, 4, 11)
    assert (hello["valid"], hello["graphs"], hello["problems"]) == (True, ["hello"], [])


def test_a_python_file_is_told_its_own_line(tmp_path: Path) -> None:
    path = tmp_path / "graph.py"
    path.write_text("from graphwire import Graph\n\nraise ValueError('on purpose')\n", encoding="utf-8")

    done = graphwire("validate", path)

    assert f"{path}:3: error[code_failed] running the file raised ValueError" in done.stdout
    assert "    3 | raise ValueError('on purpose')" in done.stdout


def test_lines_are_counted_alike_whatever_ends_them(tmp_path: Path) -> None:
    path = tmp_path / "mixed.yaml"
    path.write_bytes(b"# c\ronly: cr\r\nid: g\nnodes: [{id: a, type: none}]\n")

    done = graphwire("validate", path)

    assert f"{path}:4:23: error[unknown_node_type]" in done.stdout
    assert "    4 | nodes: [{id: a, type: none}]" in done.stdout


def test_a_file_that_never_ends_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")

    assert "this is no regular file" in graphwire("validate", tmp_path / "pipe.yaml").stdout


def test_only_code_that_a_definition_names_is_run(tmp_path: Path) -> None:
    (tmp_path / "side.py").write_text("raise ValueError('run')\n", encoding="utf-8")
    path = tmp_path / "graph.yaml"
    path.write_text("id: g\ndescription: side:effect\nnodes: [{id: a, type: delay, config: {seconds: 0}}]\n")

    assert graphwire("validate", path).returncode == 0


def test_two_graphs_of_one_name_in_a_file_are_wrong(tmp_path: Path) -> None:
    path = tmp_path / "twice.py"
    path.write_text(TWICE, encoding="utf-8")

    done = graphwire("validate", path)

    assert 'error[duplicate_graph] /id: the file has two graphs "same"' in done.stdout


def test_of_a_file_with_a_sound_and_a_broken_graph_the_sound_one_runs(tmp_path: Path) -> None:
    path = tmp_path / "mixed.py"
    path.write_text(MIXED, encoding="utf-8")

    assert graphwire("run", path, "--graph", "good", "-q").returncode == 0
    broken = graphwire("run", path, "--graph", "bad")
    assert broken.returncode == 2
    assert 'there is no node type "none"' in broken.stderr


def test_of_thousands_of_problems_the_first_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    nodes = "".join(f"  - {{id: n{index}, type: none}}\n" for index in range(3_000))
    path = tmp_path / "many.yaml"
    path.write_text(f"id: many\nnodes:\n{nodes}", encoding="utf-8")

    lines = graphwire("validate", path).stdout.splitlines()

    assert lines[-2] == f"{path}: 2,900 more problems"
    assert len(lines) == 3 * 100 + 2


@given(before=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300), at=st.integers(1, 300))
def test_the_caret_stands_below_its_character_however_wide_the_others_are(before: str, at: int) -> None:
    column = min(at, len(before) + 1)
    line = before[: column - 1] + "⟨" + before[column - 1 :]

    text = excerpt([line], Problem("", "x", "y", line=1, column=column))

    assert text is not None
    above, below = text.plain.split("\n")
    assert cell_len(above[: above.index("⟨")]) == cell_len(below[: below.index("^")])


def test_a_file_of_a_folder_may_hold_functions_only_and_one_that_is_named_may_not(tmp_path: Path) -> None:
    (tmp_path / "prices.py").write_text("def price():\n    return {'total': 5}\n")
    shop = "from graphwire import Graph\nfrom prices import price\n\nshop = Graph('shop').node(price)\n"
    (tmp_path / "shop.py").write_text(shop)

    folder, named = graphwire("validate", tmp_path), graphwire("validate", tmp_path / "prices.py")

    assert (folder.returncode, named.returncode) == (0, 1), folder.stdout
    assert "no_graph" in named.stdout
