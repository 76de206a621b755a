"""A folder of graphs that is read again and again."""

import ast
import json
import os
from pathlib import Path
from typing import Any

import pytest

from graphwire.graphs.loader import MAX_PYTHON_BYTES, GraphFolder, Loaded, LoadedFolder
from tests.graphs.samples import REGISTRY, make_value

SHOP = "from graphwire import Graph\n\ndef fetch():\n    return {}\n\norders = Graph('orders').node(fetch)\n"
HELPED = "from graphwire import Graph\nfrom parts import part\n\ngraph = Graph('helped').node(part)\n"
USES = make_value([{"id": "a", "type": "function", "config": {"function": "shop:fetch"}}], id="uses")


def write(folder: Path, **files: Any) -> None:
    for name, content in files.items():
        path = folder / name.replace("_py", ".py").replace("_json", ".json")
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def by_id(loaded: LoadedFolder) -> dict[str, Loaded]:
    return {each.definition.id: each for each in loaded.graphs}


def wrong(loaded: LoadedFolder) -> dict[str, str]:
    return {failure.source_path.name: failure.problems[0].detail for failure in loaded.failures}


def test_what_did_not_change_is_the_same_object(tmp_path: Path) -> None:
    write(tmp_path, shop_py=SHOP, uses_json=USES, plain_json=make_value(["a"], id="plain"))
    folder = GraphFolder(tmp_path)

    first = by_id(folder.load())
    write(tmp_path, plain_json=make_value(["b"], id="plain"))
    second = by_id(folder.load())
    write(tmp_path, shop_py=SHOP + "# changed\n")
    third = by_id(folder.load())

    assert {name for name in first if first[name] is not second[name]} == {"plain"}
    assert {name for name in second if second[name] is not third[name]} == {"orders", "uses"}


def test_a_file_whose_code_fails_leaves_its_last_good_module_to_the_others(tmp_path: Path) -> None:
    write(tmp_path, shop_py=SHOP, uses_json=USES)
    folder = GraphFolder(tmp_path)
    first = by_id(folder.load())

    write(tmp_path, shop_py="raise ValueError\n")
    broken = folder.load()
    write(tmp_path, shop_py=SHOP)
    mended = folder.load()

    assert list(wrong(broken)) == ["shop.py"]
    assert by_id(broken) == {"uses": first["uses"]}
    assert by_id(broken)["uses"] is first["uses"]
    assert mended.failures == ()
    assert by_id(mended)["uses"] is first["uses"]
    assert by_id(mended)["orders"].digest == first["orders"].digest


def test_a_file_that_is_gone_takes_its_module_along(tmp_path: Path) -> None:
    write(tmp_path, shop_py=SHOP, uses_json=USES)
    folder = GraphFolder(tmp_path)
    folder.load()

    (tmp_path / "shop.py").unlink()
    left = by_id(folder.load())

    assert list(left) == ["uses"]
    assert left["uses"].digest == ""
    assert "shop" not in left["uses"].code.modules


def test_only_the_python_files_that_changed_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[object] = []
    original = ast.parse

    def parse(source: Any, *arguments: Any, **options: Any) -> Any:
        parsed.append(source)
        return original(source, *arguments, **options)

    monkeypatch.setattr(ast, "parse", parse)
    write(tmp_path, table_py="x = 1\n", other_py="import table\n")
    folder = GraphFolder(tmp_path)

    folder.load()
    first = parsed[:]
    write(tmp_path, plain_json=make_value(["a"], id="plain"), table_py="x = 2\n")
    folder.load()

    assert sorted(map(str, first)) == sorted(map(str, [b"import table\n", b"x = 1\n"]))
    assert parsed[len(first) :] == [b"x = 2\n"]


def test_a_file_with_many_graphs_is_parsed_as_often_as_one_with_a_single_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ast.parse
    counts = []
    for number in (1, 20):
        parsed: list[object] = []
        monkeypatch.setattr(ast, "parse", lambda *given, seen=parsed: seen.append(given) or original(*given))
        (tmp_path / str(number)).mkdir()
        graphs = "".join(f"g{each} = Graph('g{each}').node('a', 'delay')\n" for each in range(number))
        write(tmp_path / str(number), many_py="from graphwire import Graph\n" + graphs)
        loaded = GraphFolder(tmp_path / str(number)).load()
        assert [graph.place for graph in loaded.graphs] == list(range(2, number + 2))
        counts.append(len(parsed))

    assert counts[0] == counts[1]


def test_a_python_file_that_would_hold_everything_up_is_refused(tmp_path: Path) -> None:
    write(tmp_path, large_py="#" * (MAX_PYTHON_BYTES + 1), full_py="#" * MAX_PYTHON_BYTES)

    (failure,) = GraphFolder(tmp_path).load().failures

    assert (failure.source_path.name, failure.problems[0].code) == ("large.py", "file_too_large")


def test_a_failed_file_is_run_again_when_it_is_saved_again_as_it_is(tmp_path: Path) -> None:
    needed = tmp_path / "needed.txt"
    write(tmp_path, late_py=f"with open({str(needed)!r}) as file:\n    text = file.read()\n")
    folder = GraphFolder(tmp_path)
    folder.load()
    needed.write_text("there")

    again = folder.load()
    os.utime(tmp_path / "late.py", ns=(1, 1))
    saved = folder.load()

    assert list(wrong(again)) == ["late.py"]
    assert saved.failures == ()


def test_files_of_a_folder_import_each_other_and_the_digest_counts_both(tmp_path: Path) -> None:
    parts = "def part():\n    import more\n    return {'more': more.text}\n"
    write(tmp_path, helped_py=HELPED, parts_py=parts, more_py="text = 'first'\n")
    folder = GraphFolder(tmp_path)

    before = by_id(folder.load())["helped"]
    write(tmp_path, more_py="text = 'second'\n")
    after = by_id(folder.load())["helped"]

    assert before.code.resolve("parts:part")() == {"more": "first"}
    assert after.code.resolve("parts:part")() == {"more": "second"}
    assert before.digest != after.digest


def test_files_may_import_each_other_in_a_circle(tmp_path: Path) -> None:
    write(tmp_path, a_py="import b\nx = 1\n", b_py="import a\ny = 2\n")

    assert GraphFolder(tmp_path).load().failures == ()


def test_a_file_that_imports_a_broken_one_says_which(tmp_path: Path) -> None:
    write(tmp_path, helped_py=HELPED, parts_py="x = 1\nraise ValueError('no parts')\n")

    loaded = GraphFolder(tmp_path).load()

    assert "parts.py, beside this file, has problems of its own" in wrong(loaded)["helped.py"]
    assert "no parts" in wrong(loaded)["parts.py"]
    assert [failure.problems[0].line for failure in loaded.failures] == [2, 2]


def test_what_is_installed_comes_before_a_file_of_that_name(tmp_path: Path) -> None:
    write(tmp_path, json_py="raise ValueError\n", user_py="import json\ntext = json.dumps(1)\n")

    assert list(wrong(GraphFolder(tmp_path).load())) == ["json.py"]


def test_problems_have_the_place_in_the_file_where_they_are(tmp_path: Path) -> None:
    broken = 'id: g\nnodes:\n  - id: a\n    type: delay\n    config: {seconds: "x"}\n    join: 0\n'
    python = "from graphwire import Graph\n\nx = 1\nmade = Graph('m', name=5).node('a', 'delay', {'seconds': 1})\n"
    (tmp_path / "broken.yaml").write_text(broken)
    write(tmp_path, made_py=python, half_json='{"id": "half",\n "nodes": [')

    failures = GraphFolder(tmp_path, registry=REGISTRY).load().failures

    places = [(each.file, each.pointer, each.line, each.column) for failure in failures for each in failure.problems]
    assert ("broken.yaml", "/nodes/0/join", 6, 11) in places
    assert ("made.py", "/name", 4, None) in places
    assert [(file, line) for file, _, line, _ in places if file == "half.json"] == [("half.json", 2)]
    assert [failure.graph_id for failure in failures] == ["g", None, "m"]
