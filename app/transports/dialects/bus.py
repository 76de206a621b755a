"""``bus``: dotted names, for consumers of a message bus."""

from collections.abc import Mapping
from typing import Any, Final

from app.transports.dialects.frames import Frame, encode, place_of, read_line, read_members, read_notice
from graphwire.events.hub import Published

_PREFIX: Final = "execution."


class Bus:
    """``{type, executionId, workflowId, timestamp, sequence, data}``.

    ``execution_started`` is ``execution.started``, any other type ``execution.<type>``. Where it happened is in
    ``data``. A notice has its reader's place as ``after`` in place of ``sequence``.
    """

    def frames(self, event: Published) -> list[Frame]:
        """Return the event under its dotted name."""
        line = read_line(event.line)
        head = {
            "executionId": line.execution_id,
            "workflowId": line.graph_id,
            "timestamp": line.ts,
            "sequence": line.seq,
        }
        return [_frame(line.type, head, {**place_of(line), **read_members(line.data)})]

    def notice(self, line: bytes) -> Frame:
        """Return the notice under its dotted name."""
        notice = read_notice(line)
        head = {"executionId": notice.execution_id, "timestamp": notice.ts, "after": notice.after}
        return _frame(notice.type, {name: value for name, value in head.items() if value is not None}, notice.data)


def name_of(native: str) -> str:
    """Return the dotted name of a type of events or notices."""
    return _PREFIX + native.removeprefix("execution_")


def _frame(native: str, head: Mapping[str, Any], data: Any) -> Frame:
    name = name_of(native)
    return Frame(name, encode({"type": name, **head, "data": data}))
