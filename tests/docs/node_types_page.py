"""The page of node types, written from their classes; the examples are run for it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from graphwire import run_sync
from graphwire.engine.plan import Plan, compile_plan
from graphwire.graphs.code import Code
from graphwire.graphs.documents import read_document
from graphwire.graphs.validation import check
from graphwire.nodes import builtin_registry
from tests.docs.schema_words import bounds, kind, prose
from tests.docs.tables import REFERENCE

PAGE = REFERENCE / "node-types.md"

_HEAD = """\
# Node types

Written from the code by `make docs`, which runs the examples; a test compares the two.

What every node has beside its `type` and `config` is in [how a graph runs](semantics.md#node).
`GET /node-types` gives the same as JSON Schema.
"""
_EXAMPLES: Final[Mapping[str, str]] = {
    "function": """\
from graphwire import Context, Graph, run_sync

graph = Graph("example")


@graph.node(output="average")
def mean(ctx: Context, prices: list[float], digits: int = 1) -> float:
    ctx.log(f"{len(prices)} prices")
    return round(sum(prices) / len(prices), digits)


print(run_sync(graph, {"prices": [2, 3, 3]}).state)
""",
    "transform": """\
id: example
nodes:
  - id: price
    type: transform
    config:
      set:
        total: sum(state.prices)
        largest: max(state.prices)
      delete: [prices]
state:
  initial: {prices: [90, 30]}
""",
    "template": """\
id: example
nodes:
  - id: letter
    type: template
    config: {text: "Dear {{ state.name }}, you ordered {{ state.items }}."}
    output: text
state:
  initial: {name: Ada, items: [desk, lamp]}
""",
    "delay": """\
id: example
nodes:
  - id: wait
    type: delay
    config: {seconds: state.tries * 0.01}
state:
  initial: {tries: 2}
""",
    "switch": """\
id: example
nodes:
  - id: size
    type: switch
    config:
      cases:
        - {when: state.total > 1000, then: review}
        - {when: state.total > 100, then: notify}
      default: accept
    output: route
  - {id: review, type: transform}
  - {id: notify, type: transform}
  - {id: accept, type: transform}
edges:
  - {source: size, target: review}
  - {source: size, target: notify}
  - {source: size, target: accept}
state:
  initial: {total: 250}
""",
    "while": """\
id: example
nodes:
  - id: halve
    type: while
    config:
      condition: state.value > 10
      index: turn
      max_iterations: 20
      body:
        id: half
        type: transform
        config: {set: {value: state.value // 2, turns: state.turn + 1}}
state:
  initial: {value: 100}
""",
    "subgraph": """\
from graphwire import Graph, run_sync

prices = Graph("prices", state={"rate": 1.25})
prices.node("gross", "transform", {"set": {"total": "sum(state.net) * state.rate"}})

graph = Graph("example").subgraph("bill", prices, input={"net": "state.prices"})

print(run_sync(graph, {"prices": [80, 40]}).state)
""",
    "human_input": """\
id: example
nodes:
  - id: approve
    type: human_input
    config:
      title: Refund
      prompt: Pay {{ state.customer }} {{ state.amount }} back?
      schema:
        type: object
        properties: {approved: {type: boolean}, remark: {type: string}}
        required: [approved]
      timeout_s: 0.1  # so that the example ends by itself; a day is 86400
      on_timeout: default
      default: {approved: false}
      by: approved_by
  - {id: pay, type: transform}
edges:
  - {source: approve, target: pay, when: state.approved}
state:
  initial: {customer: Ada, amount: 90}
""",
    "foreach": """\
id: example
nodes:
  - id: each
    type: foreach
    config:
      items: state.prices
      item: price
      index: place
      max_parallelism: 4
      on_item_error: collect
      body:
        id: gross
        type: transform
        config: {set: {place: state.place, gross: state.price * 1.25}}
    output: rows
state:
  initial: {prices: [80, 40]}
""",
}


def page() -> str:
    """Return the page as it has to be."""
    return _HEAD + "".join(_section(each) for each in builtin_registry().describe())


def _section(described: Mapping[str, Any]) -> str:
    name, schema = described["name"], described["config"]
    notes = "It names code, so only graphs from folders may use it.\n" if described["uses_code"] else ""
    notes += "It takes `input`.\n" if described["takes_input"] else ""
    return (
        f"\n## `{name}`\n\n{prose(described['description'])}\n{notes}\n"
        "| `config` | value | default | bounds | meaning |\n| --- | --- | --- | --- | --- |\n"
        + "".join(_rows(schema))
        + _shown(_EXAMPLES[name])
    )


def _rows(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, given in schema["properties"].items():
        shape = {**given, "items": {"type": "object"}} if "$ref" in given.get("items", ()) else given
        default = "required" if name in schema.get("required", ()) else f"`{json.dumps(shape['default'])}`"
        limits = next(filter(None, map(bounds, (shape, *shape.get("anyOf", ())))), "")
        yield f"| `{name}` | {kind(shape)} | {default} | {limits} | {shape['description']} |\n"


def _shown(example: str) -> str:
    if example.startswith("id:"):
        state = json.dumps(run_sync(plan_of(example)).state, ensure_ascii=False)
        return f"\n```yaml\n{example}```\n\nThe state at its end:\n\n```json\n{state}\n```\n"
    printed: list[object] = []
    exec(compile(example, "example", "exec"), {"__name__": "example", "print": printed.append})
    return f"\n```python\n{example.rstrip()}  # {printed[0]}\n```\n"


def plan_of(text: str) -> Plan:
    """Return a definition in YAML, ready to run."""
    registry = builtin_registry()
    definition, _ = check(read_document(text.encode(), "yaml").value, registry)
    return compile_plan(definition, registry, Code())
