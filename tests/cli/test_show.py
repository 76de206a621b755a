from pathlib import Path

from graphwire.graphs.definition import parse_definition
from graphwire.graphs.text_tree import to_tree
from tests.cli.command import graphwire

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

ORDER_REVIEW = """\
order_review  Order review
└─ price (function)
   ├─ check_stock (function)
   │  ↓ quote (function, joins all)
   │  ↓ judge (transform)
   │  ├─ [try again] quote (function, joins all) ↑
   │  └─ [else, good enough] charge_card (function)
   │     ├─ confirm (template, joins all)
   │     └─ [on error, refused] send_invoice (transform)
   │        ↓ confirm (template, joins all) ↑
   └─ [large orders] check_fraud (function)
      ↓ quote (function, joins all) ↑
"""


def test_a_graph_is_shown_as_a_tree_with_its_joins_loops_and_conditions() -> None:
    assert graphwire("show", EXAMPLES / "order_review.py").stdout == ORDER_REVIEW


def test_a_graph_is_shown_for_drawing_programs() -> None:
    mermaid = graphwire("show", EXAMPLES / "hello.yaml", "--format", "mermaid")
    dot = graphwire("show", EXAMPLES / "hello.yaml", "--format", "dot")

    assert mermaid.stdout.startswith("flowchart TD\n")
    assert dot.stdout.startswith('digraph "hello" {\n')


def test_what_cannot_be_drawn_is_explained(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("id: x\nnodes: 5\n", encoding="utf-8")

    done = graphwire("show", broken)

    assert done.returncode == 1
    assert f"{broken}:2:8: error[" in done.stderr


def test_a_chain_of_thousands_takes_a_line_each_and_stays_in_its_column() -> None:
    nodes = [{"id": f"n{index}", "type": "delay", "config": {"seconds": 0}} for index in range(5_000)]
    edges = [{"source": f"n{index}", "target": f"n{index + 1}"} for index in range(4_999)]

    lines = to_tree(parse_definition({"id": "long", "nodes": nodes, "edges": edges})).splitlines()

    assert len(lines) == 5_001
    assert max(map(len, lines)) < 30


def test_nodes_that_no_entry_reaches_come_last() -> None:
    nodes = [{"id": name, "type": "delay", "config": {"seconds": 0}} for name in ("a", "b", "c")]
    edges = [{"source": "b", "target": "c"}, {"source": "c", "target": "b"}]

    tree = to_tree(parse_definition({"id": "split", "entry": ["a"], "nodes": nodes, "edges": edges}))

    assert tree == "split\n└─ a (delay)\nnot reached:\n└─ b (delay)\n   ↓ c (delay)\n   ↓ b (delay) ↑\n"
