"""Examples of requests and answers: as a service with the example graphs takes and gives them."""

from collections.abc import Mapping
from typing import Any, Final

EXECUTION_ID: Final = "01a1ff63-ccdc-754a-9525-3c87d1892412"
_ADDRESS: Final = f"/executions/{EXECUTION_ID}"
_LINKS: Final = {"self": _ADDRESS, "events": f"{_ADDRESS}/events", "websocket": f"{_ADDRESS}/ws"}

GREETING: Final = {"state": {"name": "Ada"}, "metadata": {"by": "docs"}}
TICKS: Final = {"state": {"count": 8, "interval_ms": 250}}
STARTS: Final[Mapping[str, Any]] = {
    "state": {"summary": "With values of the state", "value": GREETING},
    "empty": {"summary": "As the graph has it", "value": {}},
    "repeatable": {
        "summary": "The same course each time, with every detail",
        "value": {"seed": 7, "ordering": "deterministic", "detail": "full", "durability": "sync"},
    },
    "limited": {
        "summary": "The newest version from its second node on, within limits",
        "value": {"version": 1, "entry": ["greeting"], "limits": {"max_steps": 10, "timeout_s": 5.0}},
    },
}
TICKING_STARTS: Final[Mapping[str, Any]] = {
    "slow": {"summary": "An event each quarter of a second, for two seconds", "value": TICKS},
    "fast": {"summary": "A thousand at once", "value": {"state": {"count": 1_000, "interval_ms": 0}}},
    "watched": {"summary": "Only while somebody reads", "value": {**TICKS, "on_disconnect": "cancel"}},
}
CANCELS: Final[Mapping[str, Any]] = {
    "reason": {"summary": "With a reason", "value": {"reason": "no longer needed"}},
    "empty": {"summary": "Without one", "value": {}},
}
NOTHING: Final[Mapping[str, Any]] = {"empty": {"summary": "As it is", "value": {}}}
STEPS: Final[Mapping[str, Any]] = {
    "over": {"summary": "The next activation, with all that it opens", "value": {"mode": "over"}},
    "empty": {"summary": "Likewise", "value": {}},
}
INTERRUPT_ID: Final = "5b39f09fedef422e.1"
INPUTS: Final[Mapping[str, Any]] = {
    "answer": {
        "summary": "An answer that fits the schema",
        "value": {"interrupt_id": INTERRUPT_ID, "value": {"approved": True, "note": "fine with me"}},
    },
}
_BREAKPOINTS: Final = [
    {"node": "tick"},
    {"node": "tick", "when": "after", "condition": "state.count > 5", "hits": 2},
]
BREAKPOINTS: Final[Mapping[str, Any]] = {
    "two": {"summary": "One before a node, one after it", "value": _BREAKPOINTS},
    "none": {"summary": "None any more", "value": []},
}
EDITS: Final[Mapping[str, Any]] = {
    "change": {"summary": "One value set, one removed", "value": {"interval_ms": 1, "note": None}},
}
DECLARATIONS: Final[Mapping[str, Any]] = {
    "name": {"summary": "By a name only", "value": {"graph_id": "nightly", "metadata": {"host": "worker-3"}}},
    "version": {
        "summary": "Of a stored graph, with a mark in every event",
        "value": {"graph_id": "hello", "version": 1, "correlation_id": "order-4711"},
    },
}
REPORTS: Final[Mapping[str, Any]] = {
    "several": {
        "summary": "A node begins and says something",
        "value": [
            {"id": "1", "type": "node_started", "node_id": "fetch", "data": {"node_type": "task"}},
            {
                "id": "2",
                "type": "node_log",
                "node_id": "fetch",
                "data": {"message": "12 pages", "fields": {"pages": 12}},
            },
        ],
    },
    "end": {
        "summary": "All of it, up to the end",
        "value": [
            {"id": "1", "type": "node_started", "node_id": "fetch", "ts": "2026-11-21T18:34:53Z"},
            {"id": "2", "type": "node_completed", "node_id": "fetch", "data": {"result": {"pages": 12}}},
            {"id": "3", "type": "execution_completed", "data": {"state": {"pages": 12}}},
        ],
    },
    "sign of life": {"summary": "Nothing new", "value": []},
}
GRAPH: Final[Mapping[str, Any]] = {
    "id": "discount",
    "nodes": [
        {"id": "price", "type": "transform", "config": {"set": {"total": "sum(state.prices)"}}},
        {"id": "reduce", "type": "transform", "config": {"set": {"total": "state.total * 0.9"}}},
        {"id": "offer", "type": "template", "config": {"text": "Yours for {{ state.total }}"}},
    ],
    "edges": [
        {"source": "price", "target": "reduce", "when": "state.total > 100"},
        {"source": "price", "target": "offer", "else": True},
        {"source": "reduce", "target": "offer"},
    ],
    "state": {"initial": {"prices": [90, 30]}},
}
_GRAPH_2: Final = {
    **GRAPH,
    "name": "Discount",
    "edges": [{**GRAPH["edges"][0], "when": "state.total > 50"}, *GRAPH["edges"][1:]],
}
_BROKEN: Final = {
    "id": "broken",
    "nodes": [{"id": "a", "type": "transfrom"}],
    "edges": [{"source": "a", "target": "b"}],
}
_RESTOCK: Final = {
    "id": "restock",
    "name": "Restock",
    "state": {"initial": {"stock": 4, "wanted": 10, "country": "SE"}},
    "nodes": [
        {
            "id": "order",
            "type": "while",
            "config": {
                "condition": "state.stock < state.wanted",
                "body": {"id": "add", "type": "transform", "config": {"set": {"stock": "state.stock + 3"}}},
            },
        },
        {
            "id": "freight",
            "type": "subgraph",
            "config": {"graph": "parcel_price"},
            "input": {"kg": "state.stock * 2"},
        },
        {
            "id": "size",
            "type": "switch",
            "config": {"cases": [{"when": "state.price > 1000", "then": "approve"}], "default": "send"},
        },
        {
            "id": "approve",
            "type": "human_input",
            "config": {"prompt": "Spend {{ state.price }} on freight?", "schema": {"type": "boolean"}},
        },
        {"id": "send", "type": "template", "config": {"text": "{{ state.stock }} pieces for {{ state.price }}"}},
    ],
    "edges": [
        {"source": "order", "target": "freight"},
        {"source": "freight", "target": "size"},
        {"source": "size", "target": "approve"},
        {"source": "size", "target": "send"},
        {"source": "approve", "target": "send", "when": "result"},
    ],
}
GRAPHS: Final[Mapping[str, Any]] = {
    "conditions": {"summary": "A price with a discount", "value": GRAPH},
    "composed": {"summary": "A loop, another graph, a choice and a question", "value": _RESTOCK},
}
CHANGED_GRAPHS: Final[Mapping[str, Any]] = {"changed": {"summary": "The discount begins earlier", "value": _GRAPH_2}}
JUDGED_GRAPHS: Final[Mapping[str, Any]] = {
    **GRAPHS,
    "broken": {"summary": "One with two faults", "value": _BROKEN},
}

_TIMES: Final = {
    "started_at": "2026-11-21T18:34:53.023008Z",
    "ended_at": "2026-11-21T18:34:53.025760Z",
    "duration_ms": 0.477,
}
_STARTED: Final = {"id": EXECUTION_ID, "graph_id": "hello", "graph_version": 1}
DECLARED: Final = {
    "id": EXECUTION_ID,
    "graph_id": "nightly",
    "graph_version": 0,
    "status": "running",
    "links": _LINKS,
}
_SUMMARY: Final = {
    **_STARTED,
    "engine": "graphwire",
    "status": "completed",
    "outcome": "success",
    **_TIMES,
    "steps": 3,
    "last_seq": 9,
    "forked_from": None,
    "links": _LINKS,
}
_DETAILS: Final[Mapping[str, Any]] = {
    "error": None,
    "errors": [],
    "reason": None,
    "progress": {"percent": 100.0, "completed": 3, "total": 3, "running": [], "eta_s": None},
    "queue": None,
    "interrupts": [],
    "breakpoints": [],
}
_STATE: Final = {"greeting": "Hello, Ada!", "length": 11, "name": "Ada"}
_DEFINITION: Final = {
    "id": "hello",
    "name": "Hello",
    "nodes": [
        {"id": "tidy", "type": "transform", "config": {"set": {"name": "state.name.strip()"}}},
        {"id": "greeting", "type": "template", "config": {"text": "Hello, {{ state.name }}!"}},
        {"id": "measure", "type": "transform", "config": {"set": {"length": "len(state.greeting)"}}},
    ],
    "edges": [{"source": "tidy", "target": "greeting"}, {"source": "greeting", "target": "measure"}],
    "state": {"initial": {"name": "world"}},
}
_TIME: Final = "2026-11-21T18:34:50.490268Z"

MODELS: Final[Mapping[str, Any]] = {
    "Accepted": {**_STARTED, "status": "running", "links": _LINKS},
    "Appended": {
        "events": [{"id": "1", "seq": 2, "duplicate": False}, {"id": "2", "seq": 3, "duplicate": False}],
        "last_seq": 3,
        "status": "running",
        "commands": [],
    },
    "Applied": {"applied_seq": 12},
    "Checkpoints": {
        "items": [
            {
                "seq": 3,
                "ts": "2026-11-21T18:34:53.024012Z",
                "type": "node_completed",
                "node": "tidy",
                "activation": "9b5ffb7ef9a9b49e",
                "path": [],
                "keys": ["name"],
                "size": 103,
                "valid": True,
            }
        ],
        "next": None,
    },
    "Difference": {
        "id": "discount",
        "from": 1,
        "to": 2,
        "nodes": {"added": [], "removed": [], "changed": [], "reordered": False},
        "edges": {
            "added": [],
            "removed": [],
            "changed": [
                {
                    "id": "price>reduce",
                    "changes": [{"pointer": "/when", "before": "state.total > 100", "after": "state.total > 50"}],
                }
            ],
            "reordered": False,
        },
        "settings": [{"pointer": "/name", "after": "Discount"}],
    },
    "Execution": {**_SUMMARY, **_DETAILS},
    "Executions": {"items": [_SUMMARY], "next": None},
    "Graph": {"id": "hello", "version": 1, "definition": _DEFINITION, "warnings": [], "problems": []},
    "Graphs": {
        "items": [
            {
                "id": "hello",
                "version": 1,
                "name": "Hello",
                "description": "Three nodes in a row: the smallest graph with something to see.",
                "source": "folder",
                "read_only": True,
                "valid": True,
                "created_at": _TIME,
                "updated_at": _TIME,
            }
        ],
        "next": None,
    },
    "Live": {"status": "live"},
    "Governance": {
        "is_on": True,
        "rate": 50.0,
        "tokens": 97.5,
        "burst": 100.0,
        "held": 2,
        "waiting": {"low": 1},
        "cpu_percent": 12.5,
        "memory_mb": 4096.0,
        "exhausted": 3,
        "exhausted_at": _TIME,
    },
    "Ready": {"troubled_files": 0, "sinks": [], "status": "ready"},
    "NodeTypes": {
        "items": [
            {
                "name": "template",
                "title": "Template",
                "description": "Puts values of the state into a text, which is the node's result.",
                "takes_input": False,
                "uses_code": False,
                "has_effects": False,
                "config": {
                    "type": "object",
                    "title": "TemplateConfig",
                    "description": "The text.",
                    "properties": {"text": {"type": "string", "title": "Text", "maxLength": 65_536}},
                    "required": ["text"],
                    "additionalProperties": False,
                },
            }
        ]
    },
    "Result": {**_SUMMARY, **_DETAILS, "state": _STATE},
    "State": {"seq": 9, "state": _STATE, "conflicts": []},
    "Validation": {"valid": True, "problems": [], "warnings": [], "definition": GRAPH},
    "Versions": {
        "items": [
            {
                "version": 1,
                "name": "Hello",
                "description": "Three nodes in a row: the smallest graph with something to see.",
                "digest": "4aeec8a9129219e94780073e99866eaff005151b43dd3c720b6f3e1a9f718bfd",
                "created_at": _TIME,
            }
        ],
        "next": None,
    },
}
"""An answer for each model of ``answers``, by its name."""

MERMAID: Final = """\
flowchart TD
  n0(["tidy"])
  n1["greeting"]
  n2["measure"]
  n0 --> n1
  n1 --> n2
"""
DOT: Final = """\
digraph "hello" {
  node [shape=box];
  n0 [label="tidy", style="rounded"];
  n1 [label="greeting"];
  n2 [label="measure"];
  n0 -> n1 [style="solid"];
  n1 -> n2 [style="solid"];
}
"""
