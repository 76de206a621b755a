"""Graphs from folders, and files that are none."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from graphwire.graphs.loader import LoadedFolder, load_folder
from graphwire.graphs.validation import check, validate
from tests.graphs.samples import REGISTRY, make_value

PYTHON = """
from __future__ import annotations
from dataclasses import dataclass
from graphwire.graphs.builder import Graph

@dataclass
class Order:
    total: int

def fetch(order):
    return Order(1).total

orders = Graph("orders").node(fetch)
again = orders
"""


def write(folder: Path, **files: Any) -> None:
    for name, content in files.items():
        path = folder / name.replace("_py", ".py").replace("_json", ".json")
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def failures(loaded: LoadedFolder) -> dict[str, str]:
    return {failure.source_path.name: failure.problems[0].code for failure in loaded.failures}


def test_a_folder_gives_its_json_and_python_graphs(tmp_path: Path) -> None:
    node = {"id": "a", "type": "function", "config": {"function": "shop:fetch"}}
    write(tmp_path, plain_json=make_value(["a"], id="plain"), shop_py=PYTHON, uses_json=make_value([node], id="uses"))
    (tmp_path / "notes.txt").write_text("no graph")
    (tmp_path / ".hidden.json").write_text("no graph")

    loaded = load_folder(tmp_path)

    assert loaded.failures == ()
    graphs = {each.definition.id: each for each in loaded.graphs}
    assert list(graphs) == ["plain", "orders", "uses"]
    assert graphs["orders"].definition.nodes[0].config == {"function": "shop:fetch"}
    for each in graphs.values():
        assert check(each.definition, REGISTRY, code=each.code)[1] == ()
    assert graphs["uses"].code.resolve("shop:fetch") is graphs["orders"].code.resolve("shop:fetch")
    assert (graphs["plain"].digest, len(graphs["orders"].digest)) == ("", 64)
    assert graphs["uses"].digest == graphs["orders"].digest
    assert graphs["plain"].source_path == tmp_path / "plain.json"


def test_a_graph_whose_shape_is_wrong_is_told_what_else_is_wrong_with_it(tmp_path: Path) -> None:
    wrong = make_value([{"id": "a", "type": "nope", "join": 0}])
    python = 'from graphwire import Graph\ngraph = Graph("g", name=5).node("a", "nope", {})\n'
    write(tmp_path, data_json=wrong, made_py=python)

    with_types = load_folder(tmp_path, registry=REGISTRY)
    without = load_folder(tmp_path)

    assert [[problem.pointer for problem in failure.problems] for failure in with_types.failures] == [
        ["/nodes/0/join", "/nodes/0/type"],
        ["/name", "/nodes/0/type"],
    ]
    assert [[problem.pointer for problem in failure.problems] for failure in without.failures] == [
        ["/nodes/0/join"],
        ["/name"],
    ]


def test_a_change_of_code_changes_the_digest_of_the_graphs_that_use_it(tmp_path: Path) -> None:
    node = {"id": "a", "type": "function", "config": {"function": "shop:fetch"}}
    write(tmp_path, plain_json=make_value(["a"], id="plain"), shop_py=PYTHON, uses_json=make_value([node], id="uses"))
    before = {each.definition.id: each.digest for each in load_folder(tmp_path).graphs}

    write(tmp_path, shop_py=PYTHON + "\n# changed")
    after = {each.definition.id: each.digest for each in load_folder(tmp_path).graphs}

    assert {name for name in before if before[name] != after[name]} == {"orders", "uses"}


@pytest.mark.parametrize(
    ("source", "line", "text"),
    [
        ("x = 1\ndef f(:\n", 2, "syntax error"),
        ("import nothing_of_this_name\n", 1, "ModuleNotFoundError"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit"),
        ("import json\n\njson.loads('x')\n", 3, "JSONDecodeError"),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E\n", 3, "E: "),
        ("raise BaseException('\\u202e' + 'x' * 1000)\n", 1, "\\u202e"),
    ],
)
def test_a_python_file_that_fails_is_reported_with_its_own_line(
    tmp_path: Path, source: str, line: int, text: str
) -> None:
    write(tmp_path, bad_py=source, plain_json=make_value(["a"]))

    loaded = load_folder(tmp_path)

    assert [each.definition.id for each in loaded.graphs] == ["sample"]
    ((problem,),) = [failure.problems for failure in loaded.failures]
    assert problem.line == line
    assert text in problem.detail
    assert str(tmp_path) not in problem.detail
    assert len(problem.detail) < 300
    assert "graphwire.loaded.bad" not in sys.modules


@pytest.mark.bad_input(1, 4, 5)
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "malformed_json"),
        ('{"id": "a"', "malformed_json"),
        ('{"id": 1, "id": 2}', "duplicate_key"),
        ("[" * 1_000, "too_deep"),
        ('{"id": "a"}', "missing_field"),
    ],
)
def test_a_json_file_that_is_no_definition_is_reported(tmp_path: Path, text: str, code: str) -> None:
    write(tmp_path, bad_json=text, plain_json=make_value(["a"]))

    loaded = load_folder(tmp_path)

    assert failures(loaded) == {"bad.json": code}
    assert len(loaded.graphs) == 1


@pytest.mark.bad_input(38)
def test_links_out_of_the_folder_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    folder, outside = tmp_path / "graphs", tmp_path / "outside.json"
    (folder / "inner").mkdir(parents=True)
    outside.write_text(json.dumps(make_value(["a"], id="outside")))
    (folder / "inner" / "real.json").write_text(json.dumps(make_value(["a"], id="linked")))
    (folder / "out.json").symlink_to(outside)
    (folder / "up.json").symlink_to("../outside.json")
    (folder / "device.json").symlink_to("/dev/zero")
    (folder / "in.json").symlink_to("inner/real.json")
    (folder / "broken.json").symlink_to("nowhere.json")
    (folder / "circle.json").symlink_to("circle.json")
    (folder / "folder.json").mkdir()
    os.mkfifo(folder / "fifo.json")

    loaded = load_folder(folder)

    assert failures(loaded) == {
        "out.json": "path_not_allowed",
        "up.json": "path_not_allowed",
        "device.json": "path_not_allowed",
        "folder.json": "path_not_allowed",
        "fifo.json": "path_not_allowed",
        "broken.json": "file_unreadable",
        "circle.json": "file_unreadable",
    }
    assert [each.definition.id for each in loaded.graphs] == ["linked"]


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    write(tmp_path, large_json=" " * 2_000 + "{}", small_json=make_value(["a"]))

    loaded = load_folder(tmp_path, max_file_bytes=1_000)

    assert failures(loaded) == {"large.json": "file_too_large"}


def test_the_second_graph_of_one_id_is_a_failure(tmp_path: Path) -> None:
    write(tmp_path, a_json=make_value(["a"]), b_json=make_value(["b"]))

    loaded = load_folder(tmp_path)

    assert failures(loaded) == {"b.json": "duplicate_graph"}
    assert loaded.graphs[0].source_path.name == "a.json"


def test_a_python_file_named_unlike_a_module_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my-graph.py").write_text(PYTHON)

    assert failures(load_folder(tmp_path)) == {"my-graph.py": "code_failed"}


def test_a_file_named_like_a_module_of_python_hides_nothing(tmp_path: Path) -> None:
    write(tmp_path, json_py=PYTHON)

    loaded = load_folder(tmp_path)

    assert loaded.graphs[0].definition.nodes[0].config == {"function": "json:fetch"}
    assert sys.modules["json"] is json


def test_a_folder_that_is_not_there_is_the_callers_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_folder(tmp_path / "nowhere")


def test_a_folder_gives_its_graphs_in_yaml(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("id: one\nnodes: [{id: a, type: transform, config: {set: {x: '1'}}}]\n")
    (tmp_path / "two.yml").write_text("id: two\nnodes:\n- {id: a, type: function, config: {function: 'shop:fetch'}}\n")
    write(tmp_path, shop_py=PYTHON)

    loaded = load_folder(tmp_path)

    assert loaded.failures == ()
    graphs = {each.definition.id: each for each in loaded.graphs}
    assert sorted(graphs) == ["one", "orders", "two"]
    assert check(graphs["two"].definition, REGISTRY, code=graphs["two"].code)[1] == ()
    assert graphs["two"].digest == graphs["orders"].digest


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.yaml", "id: x\nnodes:\n- {id: a}\n", ("/nodes/0/type", 3, 3)),
        ("a.yml", "id: x\nid: y\n", ("/id", 2, 1)),
        ("a.json", '{"id": "x",\n "nodes": [{"id": "a", "typ": 1}]}', ("/nodes/0/typ", 2, 24)),
        ("a.json", '{"id": "x",\n "id": "y"}', ("/id", 2, 2)),
    ],
)
def test_the_problems_of_a_file_have_their_places(
    tmp_path: Path, name: str, text: str, place: tuple[str, int, int]
) -> None:
    (tmp_path / name).write_text(text)

    (failure,) = load_folder(tmp_path).failures

    assert place in [(problem.pointer, problem.line, problem.column) for problem in failure.problems]


def test_problems_found_later_can_be_placed_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("id: x\nnodes:\n- id: a\n  type: nothing\n")

    (loaded,) = load_folder(tmp_path).graphs
    (problem,) = loaded.located(validate(loaded.definition, REGISTRY).problems)

    assert (problem.code, problem.line, problem.column) == ("unknown_node_type", 4, 9)


def test_a_graph_that_one_file_has_from_another_is_there_once_with_its_own_place(tmp_path: Path) -> None:
    (tmp_path / "prices.py").write_text(
        "from graphwire import Graph\n\nprices = Graph('prices').node('a', 'transform')\n"
    )
    (tmp_path / "orders.py").write_text(
        "from graphwire import Graph\nfrom prices import prices\n\n"
        "orders = Graph('orders').subgraph('sub', prices)\n"
        "orders.subgraph('given', Graph('unnamed').node('b', 'transform'))\n"
    )

    loaded = load_folder(tmp_path)

    assert loaded.failures == ()
    assert {each.definition.id: each.source_path.name for each in loaded.graphs} == {
        "orders": "orders.py",
        "prices": "prices.py",
        "unnamed": "orders.py",
    }
