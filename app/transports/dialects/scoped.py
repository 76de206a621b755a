"""``scoped``: what nodes say, what models say, and what the engine says, each under a scope."""

from typing import Any, Final, Literal

from app.transports.dialects.frames import Frame, encode, place_of, read_line, read_members, read_notice
from graphwire.events.hub import Published
from graphwire.events.types import TERMINAL_TYPES

DIAGNOSTIC: Final = "__diagnostic__"
INVOCATION_END: Final = "__invocation_end__"
STREAM_END: Final = "__stream_end__"


class Scoped:
    """``{type, scope, message, timestamp, metadata}``, ``type`` one of ``node``, ``diagnostic`` and ``llm``.

    Scopes with two underscores on both sides are the engine's where ``type`` is ``diagnostic``; a node may choose any.
    ``metadata`` names the event (``event``, ``seq``, ``execution_id``, ``graph_id``) and where it happened.
    """

    def frames(self, event: Published) -> list[Frame]:
        """Return the event under its scope."""
        line = read_line(event.line)
        metadata = {
            "event": line.type,
            "seq": line.seq,
            "execution_id": line.execution_id,
            "graph_id": line.graph_id,
            **place_of(line),
        }
        data: dict[str, Any] = read_members(line.data)
        match line.type:
            case "node_message":
                scope, message = data.pop("scope"), data.pop("message")
                return [_frame("node", scope, message, line.ts, {**metadata, **data})]
            case "llm_chunk":
                scope, text = data.pop("stream_id"), data.pop("text")
                return [_frame("llm", scope, text, line.ts, {**metadata, **data})]
            case "node_log" | "node_progress":
                message = data.pop("message", None)
                return [_frame("node", f"__{line.type[5:]}__", message, line.ts, {**metadata, **data})]
            case "diagnostic":
                message = data.pop("message")
                return [_frame("diagnostic", DIAGNOSTIC, message, line.ts, {**metadata, **data})]
        return [_frame("diagnostic", _scope(line.type), data, line.ts, metadata)]

    def notice(self, line: bytes) -> Frame:
        """Return the notice as a diagnostic."""
        notice = read_notice(line)
        metadata = {"event": notice.type, "execution_id": notice.execution_id, "after": notice.after}
        told = {name: value for name, value in metadata.items() if value is not None}
        return _frame("diagnostic", DIAGNOSTIC, notice.data, notice.ts, told)


def _scope(event_type: str) -> str:
    if event_type == "stream_end":
        return STREAM_END
    return INVOCATION_END if event_type in TERMINAL_TYPES else DIAGNOSTIC


def _frame(
    kind: Literal["node", "diagnostic", "llm"], scope: Any, message: Any, timestamp: str, metadata: dict[str, Any]
) -> Frame:
    told = {"type": kind, "scope": scope, "message": message, "timestamp": timestamp, "metadata": metadata}
    return Frame(kind, encode(told))
