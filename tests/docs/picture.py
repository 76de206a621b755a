"""The picture of the README, drawn from an execution of the example ``order_review``."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from examples.order_review import graph
from graphwire import run_sync
from graphwire.events.encoding import Envelope
from tests.docs.blocks import ROOT

PAGE: Final = ROOT / "docs" / "picture.svg"

_LEFT, _STEP, _LANE, _TOP = 128, 22, 26, 34
_CUT_AFTER = 11
_STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #24292f }
.small { font-size: 10px; fill: #57606a }
.lane { stroke: #d8dee4 }
.done { fill: #4c78a8 }
.failed { fill: #d1495b }
.said { fill: #f2a541 }
.stream { stroke: #4c78a8; stroke-width: 3 }
.event { fill: #24292f }"""


@dataclass(frozen=True, slots=True)
class _Bar:
    node: str
    first: int
    last: int
    has_failed: bool


def page() -> str:
    """Return the picture as it has to be."""
    events = _execution()
    bars = list(_bars(events))
    lanes = {node: place for place, node in enumerate(dict.fromkeys(bar.node for bar in bars))}
    width = _LEFT + (len(events) + 1) * _STEP
    below = _TOP + len(lanes) * _LANE + 24
    drawn = [
        *(_lane(node, place, width) for node, place in lanes.items()),
        *(_bar(bar, lanes[bar.node]) for bar in bars),
        *(
            f'<circle class="said" cx="{_x(event.seq)}" cy="{_y(lanes[str(event.node_id)])}" r="4"/>'
            for event in events
            if event.type == "node_message"
        ),
        f'<text x="8" y="18">{escape(graph.definition.name or "")}: what nodes did, by the number of the event</text>',
        *_reader("a reader", below, [(1, len(events))]),
        *_reader("one that was cut", below + 42, [(1, _CUT_AFTER), (_CUT_AFTER + 1, len(events))]),
        f'<text class="small" x="{_x(_CUT_AFTER) + 4}" y="{below + 64}">back with Last-Event-ID: {_CUT_AFTER}</text>',
    ]
    body = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {below + 78}" role="img" '
        f'aria-label="Bars of nodes over the numbers of events, and two readers">\n<style>\n{_STYLE}\n</style>\n'
        f'<rect width="100%" height="100%" rx="8" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _execution() -> list[Envelope]:
    events: list[Envelope] = []
    run_sync(graph, {"good_enough": 0.62}, seed=7, ordering="deterministic", on_event=events.append)
    return events


def _bars(events: list[Envelope]) -> Iterator[_Bar]:
    started: dict[str, int] = {}
    for event in events:
        name = str(event.activation)
        if event.type == "node_started":
            started[name] = event.seq
        elif event.type in {"node_completed", "node_failed"}:
            yield _Bar(str(event.node_id), started[name], event.seq, event.type == "node_failed")


def _x(seq: int) -> int:
    return _LEFT + seq * _STEP


def _y(place: int) -> int:
    return _TOP + place * _LANE + _LANE // 2


def _lane(node: str, place: int, width: int) -> str:
    y = _y(place)
    return (
        f'<text x="{_LEFT}" y="{y + 4}" text-anchor="end">{escape(node)}</text>'
        f'<line class="lane" x1="{_LEFT + 8}" y1="{y}" x2="{width - 8}" y2="{y}"/>'
    )


def _bar(bar: _Bar, place: int) -> str:
    x, end = _x(bar.first) - 7, _x(bar.last) + 7
    kind = "failed" if bar.has_failed else "done"
    return f'<rect class="{kind}" x="{x}" y="{_y(place) - 7}" width="{end - x}" height="14" rx="4"/>'


def _reader(name: str, y: int, parts: list[tuple[int, int]]) -> Iterator[str]:
    yield f'<text x="{_LEFT}" y="{y + 4}" text-anchor="end">{name}</text>'
    for first, last in parts:
        yield f'<line class="stream" x1="{_x(first)}" y1="{y}" x2="{_x(last)}" y2="{y}"/>'
        for seq in range(first, last + 1):
            yield f'<circle class="event" cx="{_x(seq)}" cy="{y}" r="3"/>'
            yield f'<text class="small" x="{_x(seq)}" y="{y - 8}" text-anchor="middle">{seq}</text>'
