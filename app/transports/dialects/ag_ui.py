"""``ag-ui``: the Agent User Interaction Protocol, as its published clients read it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Raw
from msgspec.json import decode

from app.transports.dialects.frames import TRUE, Frame, Line, encode, read_line, read_members, read_notice
from app.transports.dialects.json_patch import changes
from graphwire.engine.replay import Replay
from graphwire.events.hub import Published
from graphwire.events.timestamps import parse_timestamp

RUN: Final = "ag_ui"
"""Member of the start's ``metadata`` with the ``threadId`` and the ``runId`` that a client gave."""
SOURCE: Final = "graphwire"
NOTHING: Final = Raw(b"{}")
REFERENCE: Final = frozenset({"$ref", "bytes"})
"""The members of what stands for a value that is too large for a line."""

Told = dict[str, Any]


class AgUi:
    """``RUN_STARTED`` to ``RUN_FINISHED`` or ``RUN_ERROR``, with steps, messages, tool calls and the state.

    What is open is what this reader was told of, so that the brackets of a filtered stream match, too.

    Args:
        replay: Stands behind the commit of the event that is told; None where the states cannot be made again.
    """

    def __init__(self, replay: Replay | None) -> None:
        self._replay = replay
        self._run: Told | None = None
        self._steps: dict[str, str] = {}
        self._messages: dict[tuple[str, str], str] = {}
        self._tools: dict[str, tuple[str, str]] = {}
        self._shown: dict[str, bytes] | None = None
        self._failure: Told = {}
        self._last: Line | None = None

    def frames(self, event: Published, *, is_hidden: bool) -> list[Frame]:
        """Return the event's frames; of a hidden one those without which the others make no sense."""
        line = self._last = read_line(event.line)
        return _framed(list(self._told(line, event, is_hidden)), line)

    def joining(self) -> list[Frame]:
        """Return the start of the run, the state as it is, and the start of all that is open."""
        if self._last is None or self._run is None:
            return []
        told = [self._run, *self._snapshot()]
        told += [{"type": "STEP_STARTED", "stepName": name} for name in self._steps.values()]
        told += [_message_start(message) for message in self._messages.values()]
        told += [
            {"type": "TOOL_CALL_START", "toolCallId": id, "toolCallName": name} for id, (_, name) in self._tools.items()
        ]
        return _framed(told, self._last)

    def notice(self, line: bytes) -> Frame | None:
        """Return the notice as ``CUSTOM``; before the run has started only that the stream is closed, as an error."""
        notice = read_notice(line)
        data: dict[str, Any] = {**read_members(notice.data)}
        if self._run is not None:
            value = {**data, "execution_id": notice.execution_id, "after": notice.after}
            told = {"type": "CUSTOM", "name": notice.type, "value": value}
        elif notice.type == "stream_closed":
            told = {"type": "RUN_ERROR", "message": data["detail"], "code": data["code"]}
        else:
            return None
        return Frame("", encode({**told, "timestamp": _milliseconds(notice.ts)}))

    # --- events ---------------------------------------------------------------------------------------------------

    def _told(self, line: Line, event: Published, is_hidden: bool) -> Iterator[Told]:
        match line.type:
            case "execution_started":
                yield from self._started(line)
            case "node_completed" | "node_failed" | "node_cancelled":
                yield from self._node_ended(line, event, is_hidden)
            case "node_suspended":
                yield from self._close(line.activation or "")
                if not is_hidden:
                    yield _raw(event)
            case "execution_completed":
                yield from self._reported(line)
            case "execution_failed" | "execution_cancelled":
                self._failure = _failure(line)
            case "stream_end":
                yield from self._ended(line)
            case _ if is_hidden or self._run is None:
                pass  # while it is queued nothing may be told but an error
            case "node_started":
                yield from self._node_started(line)
            case "variable_changed":
                yield _raw(event)
                yield from self._delta()
            case "llm_chunk":
                yield from self._chunk(line, event)
            case "node_message":
                yield from self._said(line)
            case _:
                yield _raw(event)

    def _started(self, line: Line) -> Iterator[Told]:
        options = decode(read_members(line.data).get("options", NOTHING))
        metadata = options.get("metadata")  # in a foreign one it may be anything
        known = metadata.get(RUN) if isinstance(metadata, dict) else None
        names = known if isinstance(known, dict) else {}
        run = {name: str(names.get(name) or line.execution_id) for name in ("threadId", "runId")}
        self._run = {"type": "RUN_STARTED", **run}
        yield self._run
        yield from self._snapshot()

    def _node_started(self, line: Line) -> Iterator[Told]:
        activation = line.activation or ""
        if activation not in self._steps:  # else it is a further attempt
            name = _step_name(line)
            if name in self._steps.values():
                name = f"{name}@{activation}"
            self._steps[activation] = name
            yield {"type": "STEP_STARTED", "stepName": name}

    def _node_ended(self, line: Line, event: Published, is_hidden: bool) -> Iterator[Told]:
        activation = line.activation or ""
        yield from self._close(activation)
        if not is_hidden:
            if line.type != "node_completed":
                yield _raw(event)
            if line.path is None:
                yield from self._delta()
        if line.type == "node_failed" and read_members(line.data)["will_retry"] == TRUE:
            return
        if activation in self._steps:
            yield {"type": "STEP_FINISHED", "stepName": self._steps.pop(activation)}

    def _chunk(self, line: Line, event: Published) -> Iterator[Told]:
        data = read_members(line.data)
        stream_id, text = decode(data["stream_id"]), decode(data["text"])
        if not (isinstance(stream_id, str) and isinstance(text, str)):  # a reference stands where it was too large
            yield _raw(event)
            return
        key = line.activation or "", stream_id
        if text:
            if key not in self._messages:
                self._messages[key] = _id_of(line)
                yield _message_start(self._messages[key])
            yield {"type": "TEXT_MESSAGE_CONTENT", "messageId": self._messages[key], "delta": text}
        if data["is_final"] == TRUE and key in self._messages:
            yield {"type": "TEXT_MESSAGE_END", "messageId": self._messages.pop(key)}

    def _said(self, line: Line) -> Iterator[Told]:
        data = read_members(line.data)
        scope = decode(data["scope"])
        told = self._tool_call(scope, data["message"], line)
        if told is None:
            name = scope if isinstance(scope, str) else line.type
            told = {"type": "CUSTOM", "name": name, "value": data["message"]}
        metadata = data["metadata"]
        yield told if metadata == NOTHING else {**told, "metadata": metadata}

    def _tool_call(self, scope: object, message: Raw, line: Line) -> Told | None:
        """Return what a message says about a tool call; None where it is none that can be told."""
        if not (isinstance(scope, str) and scope.startswith("tool_call_")):
            return None
        said = decode(message)
        if not isinstance(said, dict) or not isinstance(id := said.get("id"), str):
            return None
        match scope, said:
            case "tool_call_start", {"name": str(name)} if id not in self._tools:
                self._tools[id] = line.activation or "", name
                return {"type": "TOOL_CALL_START", "toolCallId": id, "toolCallName": name}
            case "tool_call_args", {"delta": str(delta)} if id in self._tools:
                return {"type": "TOOL_CALL_ARGS", "toolCallId": id, "delta": delta}
            case "tool_call_end", _ if self._tools.pop(id, None) is not None:
                return {"type": "TOOL_CALL_END", "toolCallId": id}
            case "tool_call_result", {"content": content}:
                text = content if isinstance(content, str) else encode(content).decode()
                result = {"type": "TOOL_CALL_RESULT", "messageId": _id_of(line), "toolCallId": id}
                return {**result, "content": text, "role": "tool"}
        return None

    def _ended(self, line: Line) -> Iterator[Told]:
        for activation in dict.fromkeys([of for of, _ in (*self._messages, *self._tools.values())]):
            yield from self._close(activation)
        yield from self._delta()
        while self._steps:
            yield {"type": "STEP_FINISHED", "stepName": self._steps.pop(next(iter(self._steps)))}
        if read_members(line.data)["status"] == Raw(b'"completed"'):
            run = self._run or {}
            yield {**run, "type": "RUN_FINISHED", "outcome": {"type": "success"}}
        else:
            yield {"type": "RUN_ERROR", **self._failure}

    # --- parts ----------------------------------------------------------------------------------------------------

    def _close(self, activation: str) -> Iterator[Told]:
        """End what an activation left open."""
        for key in [key for key in self._messages if key[0] == activation]:
            yield {"type": "TEXT_MESSAGE_END", "messageId": self._messages.pop(key)}
        for id in [id for id, (of, _) in self._tools.items() if of == activation]:
            del self._tools[id]
            yield {"type": "TOOL_CALL_END", "toolCallId": id}

    def _snapshot(self) -> Iterator[Told]:
        if self._replay is not None:
            self._shown = _values(self._replay)
            yield {"type": "STATE_SNAPSHOT", "snapshot": {key: Raw(value) for key, value in self._shown.items()}}

    def _reported(self, line: Line) -> Iterator[Told]:
        """Tell the final state where none was made again: an engine elsewhere reports it."""
        state = read_members(line.data)["state"]
        if self._replay is None and _is_told(state):
            yield {"type": "STATE_SNAPSHOT", "snapshot": state}

    def _delta(self) -> Iterator[Told]:
        if self._replay is not None:
            before, self._shown = self._shown or {}, _values(self._replay)
            if operations := changes(before, self._shown):
                yield {"type": "STATE_DELTA", "delta": operations}


def _values(replay: Replay) -> dict[str, bytes]:
    state = replay.shown()
    return {key: state.get(key) or b"null" for key in state.keys()}


def _is_told(state: Raw) -> bool:
    """Whether it is a state, and no reference to one that is too large for a line."""
    return bytes(state).startswith(b"{") and read_members(state).keys() != REFERENCE


def _framed(told: Sequence[Told], line: Line) -> list[Frame]:
    """Return frames. The last one of an event names it, and so the place to resume behind."""
    at = {"timestamp": _milliseconds(line.ts)}
    named = {**at, "rawEvent": {"seq": line.seq, "type": line.type}}
    last = len(told) - 1
    return [Frame("", encode({**each, **(named if index == last else at)})) for index, each in enumerate(told)]


def _raw(event: Published) -> Told:
    return {"type": "RAW", "event": Raw(event.line), "source": SOURCE}


def _message_start(message_id: str) -> Told:
    return {"type": "TEXT_MESSAGE_START", "messageId": message_id, "role": "assistant"}


def _id_of(line: Line) -> str:
    return f"{line.execution_id}:{line.seq}"


def _step_name(line: Line) -> str:
    scopes = [f"{step['node']}[{step['index']}]" if "index" in step else str(step["node"]) for step in line.path or ()]
    name = "/".join([*scopes, line.node_id or ""])
    return name if line.pass_number in (None, 1) else f"{name}#{line.pass_number}"


def _failure(line: Line) -> Told:
    data: Mapping[str, Raw] = read_members(line.data)
    if line.type == "execution_cancelled":
        reason = decode(data["reason"])
        return {"message": f"cancelled: {reason}" if reason else "cancelled", "code": "cancelled"}
    error = decode(data["error"])
    return {"message": str(error.get("message", "")), "code": str(error.get("code", "exception"))}


def _milliseconds(ts: str) -> int:
    return parse_timestamp(ts) // 1_000_000
