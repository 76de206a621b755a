"""Two executions, event by event, and what dialects make of them: always the same, whenever and wherever it is run."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Raw

from app.transports.dialects.frames import Frame
from app.transports.dialects.names import DIALECTS, FOLDING
from graphwire import Graph
from graphwire.engine.plan import outline
from graphwire.engine.replay import Replay
from graphwire.events import types
from graphwire.events.encoding import encode_line, read_published
from graphwire.events.types import EventData, Failure
from graphwire.nodes import builtin_registry
from tests.events.test_encoding import make_outgoing

ALL: Final = ("native", *FOLDING, *DIALECTS)


@dataclass(frozen=True)
class Said:
    """Something that happens.

    Attributes:
        node: Where; "" for the execution itself.
        update: What its commit writes; None where it commits nothing.
        edges: The edges that its commit fires, by their places in the definition.
    """

    event: EventData
    node: str = ""
    update: dict[str, Any] | None = None
    edges: Sequence[int] = ()


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def failure(node: str) -> Failure:
    return Failure(code="exception", type="ValueError", message="no luck", node=node, attempt=1)


def message(scope: str, value: Any) -> types.NodeMessage:
    return types.NodeMessage(scope=scope, message=Raw(compact(value)), metadata=Raw(b"{}"))


def completed(edges: list[str], result: Any) -> types.NodeCompleted:
    return types.NodeCompleted(attempt=1, duration_ms=1.5, edges=edges, result=Raw(compact(result)))


def failed(node: str, edges: list[str]) -> types.NodeFailed:
    return types.NodeFailed(attempt=1, duration_ms=1.5, error=failure(node), will_retry=False, edges=edges)


STARTED: Final = Said(types.ExecutionStarted(entry=["answer"], seed=7, options=Raw(b'{"version":1,"metadata":{}}')))
GRAPH: Final = Graph("story", state={"topic": "tea"}, reducers={"said": "append"})
for _name in ("answer", "check", "done"):
    GRAPH.node(_name, "transform", {"set": {"never": "'run'"}})
GRAPH.edge("answer", "check").edge("check", "done")

GOES_ON: Final = (
    STARTED,
    Said(types.NodeStarted(node_type="function", attempt=1), "answer"),
    Said(message("tool_call_start", {"id": "c1", "name": "search"}), "answer"),
    Said(message("tool_call_args", {"id": "c1", "delta": '{"q": "tea"}'}), "answer"),
    Said(message("tool_call_end", {"id": "c1"}), "answer"),
    Said(message("tool_call_result", {"id": "c1", "content": {"hits": 2}}), "answer"),
    Said(types.LlmChunk(stream_id="default", text="Tea ", is_final=False), "answer"),
    Said(types.LlmChunk(stream_id="default", text="is hot.", is_final=True), "answer"),
    Said(message("mood", "fine"), "answer"),
    Said(completed(["answer>check"], {"said": "Tea is hot."}), "answer", {"said": "Tea is hot."}, (0,)),
    Said(types.NodeStarted(node_type="function", attempt=1), "check"),
    Said(types.NodeLog(level="warning", message="cold", fields=Raw(b'{"degrees":9}')), "check"),
    Said(failed("check", ["check>done"]), "check", {"errors": {"code": "exception", "message": "no luck"}}, (1,)),
    Said(types.NodeStarted(node_type="transform", attempt=1), "done"),
    Said(completed([], {"said": "Bye."}), "done", {"said": "Bye."}),
    Said(
        types.ExecutionCompleted(
            outcome="partial",
            duration_ms=9.0,
            steps=3,
            state=Raw(
                b'{"errors":[{"code":"exception","message":"no luck"}],"said":["Tea is hot.","Bye."],"topic":"tea"}'
            ),
        )
    ),
    Said(types.StreamEnd(status="completed", total_events=17, duration_ms=9.0)),
)
"""A success, though a node failed on the way (``on_error: continue``)."""

FAILS: Final = (
    STARTED,
    Said(types.NodeStarted(node_type="function", attempt=1), "answer"),
    Said(types.LlmChunk(stream_id="default", text="Tea ", is_final=False), "answer"),
    Said(failed("answer", []), "answer", {"errors": {"code": "exception", "message": "no luck"}}),
    Said(types.ExecutionFailed(error=failure("answer"), duration_ms=3.0, steps=1)),
    Said(types.StreamEnd(status="failed", total_events=6, duration_ms=3.0)),
)
"""A critical failure."""


def told(dialect: str, story: Sequence[Said], *, after: int | None = None) -> list[Frame]:
    """Return what a story is told as; with ``after`` to who joins behind that event."""
    return list(_told(dialect, story, after))


def _told(dialect: str, story: Sequence[Said], after: int | None) -> Iterator[Frame]:
    replay = Replay(outline(GRAPH.definition, builtin_registry()), {}, None)
    plain = DIALECTS[dialect]() if dialect in DIALECTS else None
    folding = FOLDING[dialect](replay) if dialect in FOLDING else None
    for seq, said in enumerate(story, 1):
        place: dict[str, Any] = {}
        if said.node:
            active = next(each for each in replay.scheduler.active() if replay.plan.node_ids[each.node] == said.node)
            place = {"node_id": said.node, "activation": active.id, "pass_number": 1}
            if said.update is not None:
                commit = {"kind": "commit", "seq": 0, "activation": active.id, "edges": said.edges}
                commit["update"] = said.update
                replay.commit(compact(commit))
        moment = {"seq": seq, "ts": f"2026-11-20T19:45:30.{seq:06}Z", "mono_ns": seq * 1_000}
        line, whole = encode_line(make_outgoing(said.event, graph_id="story", **moment, **place))
        event = read_published(line, whole)
        if folding is not None:
            frames = list(folding.frames(event, is_hidden=False))
        else:
            frames = [Frame(event.type, line)] if plain is None else list(plain.frames(event))
        if after is None or seq > after:
            yield from frames
        if folding is not None and seq == after:
            yield from folding.joining()
