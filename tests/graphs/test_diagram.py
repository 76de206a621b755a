"""Diagrams, and names that try to be more than text in them."""

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from graphwire.graphs.diagram import to_dot, to_mermaid
from graphwire.graphs.text_tree import to_tree
from tests.graphs.samples import make_graph

HOSTILE = [
    '"] --> x["',
    "<script>alert(1)</script>",
    "`markdown` **bold** [link](javascript:x)",
    'end"; click n0 "javascript:alert(1)',
    "%% comment %%{init: {}}%%",
    '\\" ]; evil -> b; //',
    "\\N \\G \\l",
    "<<b>html</b>>",
    "&lt;b&gt; &#35;",
    "#quot; #35;",
    "line\nbreak\r\n  n9 --> n0",
    "subgraph x",
    "\u202e\u200b\x00",
    "{{7*7}} ${x} %s",
    "- item",
    "1. first",
    "1) first",
    "# heading",
    "    code",
    "line  ",
    "***",
    "_emphasis_ __strong__ ~~gone~~",
    "![image](x) [x][y] [ ] todo",
    "> quote",
    "www.example.com https://example.com a@example.com",
    "$$x^2$$",
    "fa:fa-car fab:fa-github",
    "</svg><svg onload=alert(1)>",
    ":::style",
    "end",
    "style n0 fill:red; classDef x; linkStyle 0",
    "<br/>",
    "x]]} ))>]",
    "a --- b",
    "\\\\n\\l\\r",
    "\U0001f600 \u0645\u0631\u062d\u0628\u0627",
]
MARKDOWN = re.compile(r"^\s|\s$|\s\s|[*`<>\[\]~\\@$:^]|(?<!&)#(?!\d+;)|^\d+[.)](\s|$)|^[-+]|www\.|(?<!\w)_|_(?!\w)")
MERMAID_STRING = r'"[^"\n`<>\\]*"'
MERMAID_LINE = re.compile(
    rf"flowchart TD|  n\d+(\(\[{MERMAID_STRING}\]\)|\[{MERMAID_STRING}\])"
    rf"|  n\d+ (-->|-\.->|==>)(\|{MERMAID_STRING}\|)? n\d+"
)
DOT_STRING = r'"(?:[^"\\\n]|\\\\|\\")*"'
DOT_LINE = re.compile(
    rf'digraph {DOT_STRING} \{{|  node \[shape=box\];|  n\d+ \[label={DOT_STRING}(, style="rounded")?\];'
    rf'|  n\d+ -> n\d+ \[(label={DOT_STRING}, )?style="\w+"\];|\}}'
)


def test_a_mermaid_chart_shows_entries_edges_and_labels() -> None:
    graph = make_graph(
        [{"id": "a", "goto": ["c"]}, {"id": "b", "name": "Price it"}, "c"],
        [
            {"source": "a", "target": "b", "when": "state.total > 5"},
            {"source": "a", "target": "b", "else": True},
            {"source": "b", "target": "c", "on": "error", "label": "failed"},
            {"source": "b", "target": "c", "on": "always"},
        ],
    )

    assert to_mermaid(graph) == (
        "flowchart TD\n"
        '  n0(["a"])\n'
        '  n1["Price it"]\n'
        '  n2["c"]\n'
        '  n0 -->|"state.total #62; 5"| n1\n'
        '  n0 -->|"else"| n1\n'
        '  n1 -.->|"failed"| n2\n'
        "  n1 ==> n2\n"
        '  n0 -.->|"goto"| n2\n'
    )


def test_a_dot_graph_shows_the_same() -> None:
    graph = make_graph(["a", "b"], [{"source": "a", "target": "b", "when": 'state.a == "x"', "on": "error"}])

    assert to_dot(graph) == (
        'digraph "sample" {\n'
        "  node [shape=box];\n"
        '  n0 [label="a", style="rounded"];\n'
        '  n1 [label="b"];\n'
        '  n0 -> n1 [label="state.a == \\"x\\"", style="dashed"];\n'
        "}\n"
    )


@pytest.mark.bad_input(8, 32, 34)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_text_in_diagrams(name: str) -> None:
    assert_is_text(name)


@given(st.text(max_size=80))
def test_any_name_stays_text_in_diagrams(name: str) -> None:
    assert_is_text(name)


@pytest.mark.needs("corpora")
@pytest.mark.bad_input(32)
def test_awkward_names_stay_text_in_diagrams(corpora: Path) -> None:
    for name in json.loads((corpora / "blns.json").read_bytes()):
        assert_is_text(name[:1_000])


def assert_is_text(name: str) -> None:
    edge = {"source": "a", "target": "b", "label": name}
    graph = make_graph([{"id": "a", "name": name}, {"id": "b", "name": name}], [edge])

    mermaid, dot = to_mermaid(graph).split("\n"), to_dot(graph).split("\n")

    assert len(mermaid) == 1 + 3 + 1
    assert len(dot) == 2 + 3 + 2
    assert all(MERMAID_LINE.fullmatch(line) for line in mermaid[:-1]), mermaid
    assert all(DOT_LINE.fullmatch(line) for line in dot[:-1]), dot
    assert all(character.isprintable() for line in mermaid + dot for character in line)
    assert not [label for line in mermaid for label in re.findall(r'"([^"]*)"', line) if MARKDOWN.search(label)]


@pytest.mark.bad_input(9)
def test_names_that_look_the_same_are_drawn_differently() -> None:
    composed, decomposed = "caf\u00e9", unicodedata.normalize("NFD", "caf\u00e9")

    chart = to_mermaid(make_graph([{"id": "a", "name": composed}, {"id": "b", "name": decomposed}]))

    assert 'n0(["caf\u00e9 #183; a"])' in chart
    assert 'n1(["cafe#92;u0301 #183; b"])' in chart


@pytest.mark.bad_input(9)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Price", "Price"),
        ("Price", "PRICE"),
        ("stra\u00dfe", "STRASSE"),
        ("\ufb01ne", "fine"),
        ("a b", "a  b"),
        ("ab", "a\u200bb"),
        ("x" * 70 + "1", "x" * 70 + "2"),
    ],
)
def test_nodes_with_names_that_look_alike_show_their_ids(first: str, second: str) -> None:
    graph = make_graph([{"id": "a", "name": first}, {"id": "b", "name": second}, {"id": "c", "name": "Other"}])

    for drawn in (to_mermaid(graph), to_dot(graph).replace("·", "#183;")):
        assert "#183; a" in drawn
        assert "#183; b" in drawn
        assert '"Other"' in drawn


@pytest.mark.bad_input(9)
def test_a_name_that_looks_like_the_id_of_another_node_shows_its_own() -> None:
    graph = make_graph(["price", {"id": "b", "name": "Price"}])

    assert to_dot(graph).splitlines()[2:4] == [
        '  n0 [label="price", style="rounded"];',
        '  n1 [label="Price · b", style="rounded"];',
    ]


def test_a_diagram_cuts_long_names() -> None:
    assert len(to_mermaid(make_graph([{"id": "a", "name": "x" * 1_000}]))) < 120


def test_edges_to_nodes_that_there_are_not_are_left_out() -> None:
    graph = make_graph([{"id": "a", "goto": ["q"]}], ["a>q", "q>a"], entry=["a"])

    assert to_mermaid(graph) == 'flowchart TD\n  n0(["a"])\n'


def test_nodes_that_choose_ask_or_run_graphs_show_it() -> None:
    body = {"nodes": [{"id": f"b{index}", "type": "transform"} for index in range(5)]}
    cases = [{"when": "state.n > 5", "then": "sub"}, {"when": "state.n == 0", "then": "ask"}]
    graph = make_graph(
        [
            "start",
            {"id": "pick", "type": "switch", "config": {"cases": cases, "default": "loop"}},
            {"id": "sub", "type": "subgraph", "config": {"graph": "prices"}},
            {"id": "ask", "type": "human_input", "config": {"prompt": "?"}},
            {"id": "loop", "type": "while", "config": {"condition": "true", "body": body}},
        ],
        ["start>pick", "pick>sub", "pick>ask", "pick>loop"],
    )

    assert to_mermaid(graph).splitlines()[2:] == [
        '  n1{"pick"}',
        '  n2[["sub (prices)"]]',
        '  n3[/"ask"/]',
        '  n4[["loop (b0, b1, b2, …)"]]',
        "  n0 --> n1",
        '  n1 -->|"state.n #62; 5"| n2',
        '  n1 -->|"state.n == 0"| n3',
        '  n1 -->|"else"| n4',
    ]
    assert 'n1 [label="pick", shape="diamond"];' in to_dot(graph)
    assert 'n1 -> n4 [label="else", style="solid"];' in to_dot(graph)
    assert to_tree(graph).splitlines()[2:] == [
        "   ↓ pick (switch)",
        "   ├─ [state.n > 5] sub (subgraph of prices)",
        "   ├─ [state.n == 0] ask (human_input)",
        "   └─ [else] loop (while of b0, b1, b2, …)",
    ]


@pytest.mark.parametrize(
    "config", [{}, {"cases": 5}, {"cases": [5, {"then": 5}], "default": []}, {"graph": 5}, {"body": {"nodes": 5}}]
)
@pytest.mark.parametrize("node_type", ["switch", "subgraph", "foreach"])
def test_a_config_that_makes_no_sense_is_drawn_all_the_same(node_type: str, config: dict[str, object]) -> None:
    graph = make_graph([{"id": "a", "type": node_type, "config": config}])

    assert "a" in to_mermaid(graph)
    assert "a" in to_dot(graph)
    assert "a" in to_tree(graph)
