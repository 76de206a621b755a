"""How two definitions differ, for people and for programs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from graphwire.cli.printing import printable
from graphwire.graphs.difference import ABSENT, Change, Difference, ItemsDifference

_WIDTH: Final = 80


@dataclass(frozen=True, slots=True)
class Compared:
    """Two definitions of a graph.

    Attributes:
        before: The version on the server; None where there is none.
        after: Likewise; None for a file.
    """

    id: str
    before: int | None
    after: int | None
    difference: Difference

    def shown(self) -> Text:
        """Return the difference for people, a line for each place."""
        before = "nothing" if self.before is None else f"version {self.before}"
        after = "the file" if self.after is None else f"version {self.after}"
        head = f"{printable(self.id)}: {before} → {after}{'' if self.difference else ', the same'}"
        return Text("\n").join([Text(head, "bold"), *self._lines()])

    def described(self) -> dict[str, Any]:
        """Return the difference for programs, in the shape of the service's own."""
        return {
            "id": self.id,
            "from": self.before,
            "to": self.after,
            "nodes": _items(self.difference.nodes),
            "edges": _items(self.difference.edges),
            "settings": [_change(each) for each in self.difference.settings],
        }

    def _lines(self) -> Iterator[Text]:
        for kind, items in (("node", self.difference.nodes), ("edge", self.difference.edges)):
            for each in items.removed:
                yield Text(f"- {kind} {_name(each)}", "red")
            for each in items.added:
                yield Text(f"+ {kind} {_name(each)}", "green")
            for item in items.changed:
                for change in item.changes:
                    yield Text(f"~ {kind} {printable(item.id, 64)} {_told(change)}", "yellow")
            if items.is_reordered:
                yield Text(f"~ {kind}s stand in another order", "yellow")
        for change in self.difference.settings:
            yield Text(f"~ {_told(change)}", "yellow")


def _name(item: dict[str, Any]) -> str:
    name = item.get("id") or f"{item.get('source')}>{item.get('target')}"
    kind = f" ({item['type']})" if "type" in item else ""
    return printable(f"{name}{kind}", 120)


def _told(change: Change) -> str:
    return f"{printable(change.pointer)}: {_value(change.before)} → {_value(change.after)}"


def _value(value: Any) -> str:
    return "nothing" if value is ABSENT else printable(json.dumps(value, ensure_ascii=False), _WIDTH)


def _items(items: ItemsDifference) -> dict[str, Any]:
    changed = [{"id": item.id, "changes": [_change(each) for each in item.changes]} for item in items.changed]
    return {
        "added": list(items.added),
        "removed": list(items.removed),
        "changed": changed,
        "reordered": items.is_reordered,
    }


def _change(change: Change) -> dict[str, Any]:
    values = {"before": change.before, "after": change.after}
    return {"pointer": change.pointer, **{name: value for name, value in values.items() if value is not ABSENT}}
