"""``editor``: five flat types with the states around each node, for a canvas that shows a run."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Raw

from app.transports.dialects.frames import TRUE, Frame, Line, encode, read_line, read_members, read_notice
from graphwire.engine.plan import Plan
from graphwire.engine.replay import Replay
from graphwire.engine.state import State
from graphwire.events.encoding import MAX_LINE_BYTES
from graphwire.events.hub import Published

MAX_STATE_BYTES: Final = MAX_LINE_BYTES // 2
"""A larger state is replaced by its address, so that a frame is not much longer than a line."""


class Editor:
    """``start``, ``node_start``, ``node_complete``, ``error`` and ``complete``, each with ``event_type`` and ``seq``.

    Every activation has one ``node_start`` and one ``node_complete``, however many attempts it took.

    Args:
        replay: Stands behind the commit of the event that is told; None where the states cannot be made again.
    """

    def __init__(self, replay: Replay | None) -> None:
        self._replay = replay
        self._names = {} if replay is None else _names(replay.plan)
        self._open: dict[str, Line] = {}
        self._has_failed = False
        self._final: Raw | None = None
        self._last: Published | None = None

    def frames(self, event: Published, *, is_hidden: bool) -> list[Frame]:
        """Return the event's frame, if it has one and is not hidden."""
        self._last = event
        frames = self._frames(event)
        return [] if is_hidden else frames

    def _frames(self, event: Published) -> list[Frame]:
        match event.type:
            case "execution_started":
                line = read_line(event.line)
                return [_frame("start", line, {"initial_state": self._shown(line)})]
            case "node_started":
                line = read_line(event.line)
                if line.activation in self._open:  # a further attempt
                    return []
                self._open[line.activation or ""] = line
                return [self._node_start(line, line)]
            case "node_completed" | "node_failed" | "node_cancelled":
                return self._node_ended(read_line(event.line))
            case "execution_completed" | "execution_failed" | "execution_cancelled":
                return self._terminal(read_line(event.line))
            case "stream_end":
                return [self._complete(read_line(event.line))]
        return []

    def joining(self) -> list[Frame]:
        """Return a ``start`` with the state as it is, and a ``node_start`` for each node that runs."""
        if self._last is None:
            return []
        now = read_line(self._last.line)
        running = [self._node_start(line, now) for line in self._open.values()]
        return [_frame("start", now, {"initial_state": self._shown(now)}), *running]

    def notice(self, line: bytes) -> Frame | None:
        """Return the notice under its native name; progress is not told."""
        notice = read_notice(line)
        if notice.type == "execution_progress":
            return None
        head = {"event_type": notice.type, "execution_id": notice.execution_id, "timestamp": notice.ts}
        told = {**head, "after": notice.after, **read_members(notice.data)}
        return Frame(notice.type, encode({name: value for name, value in told.items() if value is not None}))

    def _node_start(self, started: Line, now: Line) -> Frame:
        state = None
        if self._replay is not None and started.path is None:
            state = self._replay.begun(started.activation or "")
        return _frame("node_start", now, {**self._node(started), "input_state": _told(state, now)})

    def _node_ended(self, line: Line) -> list[Frame]:
        data = read_members(line.data)
        is_success = line.type == "node_completed"
        if line.type == "node_failed":
            if data["will_retry"] == TRUE:
                return []
            self._has_failed = True
        self._open.pop(line.activation or "", None)
        has_committed = self._replay is not None and line.path is None and line.type != "node_cancelled"
        state = self._replay.written if has_committed and self._replay is not None else None
        members: dict[str, Any] = {
            **self._node(line),
            "status": "success" if is_success else "error",
            "output_state": _told(state, line),
            "duration_ms": data["duration_ms"],
        }
        if not is_success:
            members["error"] = data.get("error") or {"code": "cancelled", "message": data["reason"]}
        return [_frame("node_complete", line, members)]

    def _terminal(self, line: Line) -> list[Frame]:
        data = read_members(line.data)
        self._final = data.get("state")
        if line.type != "execution_failed":
            return []
        error = data["error"]
        told = read_members(error)
        members = {"error": told.get("code"), "message": told.get("message"), "details": error}
        return [_frame("error", line, members)]

    def _complete(self, line: Line) -> Frame:
        data = read_members(line.data)
        has_failed = self._has_failed or data["status"] != Raw(b'"completed"')
        state = self._shown(line) if self._final is None else self._final
        members = {
            "final_state": state,
            "duration_ms": data["duration_ms"],
            "status": "error" if has_failed else "success",
            "message": data["status"],
        }
        return _frame("complete", line, members)

    def _node(self, line: Line) -> dict[str, Any]:
        node_id = line.node_id or ""
        return {"node_id": node_id, "node_name": self._names.get(node_id, node_id), "activation": line.activation}

    def _shown(self, line: Line) -> Any:
        return None if self._replay is None else _told(self._replay.shown(), line)


def _told(state: State | None, line: Line) -> Any:
    if state is None:
        return None
    if state.size > MAX_STATE_BYTES:
        return {"$ref": f"/executions/{line.execution_id}/state", "bytes": state.size}
    return Raw(state.to_json())


def _frame(name: str, line: Line, members: Mapping[str, Any]) -> Frame:
    head = {
        "event_type": name,
        "seq": line.seq,
        "execution_id": line.execution_id,
        "graph_id": line.graph_id,
        "timestamp": line.ts,
    }
    return Frame(name, encode({**head, **members}))


def _names(plan: Plan) -> dict[str, str]:
    names: dict[str, str] = {}
    waiting = [plan]
    while waiting:
        for node in waiting.pop().nodes:
            names[node.id] = node.definition.name or node.id
            if node.body is not None:
                waiting.append(node.body)
    return names
