"""Which executions run at once, and which one is next: pure decisions. The time is given with each call."""

import heapq
from collections.abc import Iterator
from typing import Final, NamedTuple

from graphwire.engine.policies.line import AGEING_S, HIGHEST, LEVELS, Line, Place
from graphwire.types import ExecutionId, GraphId, Overlap, Priority

MAX_RUNNING: Final = 1_000


class Rules(NamedTuple):
    """What a graph says of executions of it that run at once.

    Attributes:
        limit: How many may; None for any number.
        overlap: What becomes of a start beyond it.
    """

    limit: int | None = None
    overlap: Overlap = "allow"


FREE: Final = Rules()


class Wait(NamedTuple):
    """Why one has to wait, and how many are served before it, itself counted."""

    position: int
    reason: str


class _Waiting(NamedTuple):
    graph_id: GraphId
    limit: int | None


class Admission:
    """Keeps count of what runs and of what waits.

    An execution runs from ``enter`` to ``leave``. While it is paused it makes room for another of the service, yet not
    for one of its graph: that limit is how many have begun and not ended.

    Args:
        max_running: How many run at once.
        ageing_s: See ``Line``.
    """

    def __init__(self, *, max_running: int = MAX_RUNNING, ageing_s: float = AGEING_S) -> None:
        self.max_running = max_running
        self._ageing_s = ageing_s
        self._active: set[ExecutionId] = set()
        self._graph_of: dict[ExecutionId, GraphId] = {}
        self._of_graph: dict[GraphId, dict[ExecutionId, None]] = {}
        self._waiting: dict[ExecutionId, _Waiting] = {}
        self._common: Line[ExecutionId] = Line(ageing_s=ageing_s)
        self._lines: dict[GraphId, Line[ExecutionId]] = {}
        self._arrivals = 0

    @property
    def running(self) -> int:
        """How many run and are not paused."""
        return len(self._active)

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def begun(self, graph_id: GraphId) -> list[ExecutionId]:
        """Return the executions of a graph that have begun and not ended, the oldest first."""
        return list(self._of_graph.get(graph_id, ()))

    def waiting_of(self, graph_id: GraphId) -> list[ExecutionId]:
        """Return the executions of a graph that wait, in order of arrival."""
        return [id for id, waiting in self._waiting.items() if waiting.graph_id == graph_id]

    # --- what runs ------------------------------------------------------------------------------------------------

    def must_wait(self, graph_id: GraphId, rules: Rules, priority: Priority, now_s: float) -> Wait | None:
        """Say why one that would start now had to wait; None where it need not."""
        is_full = self._is_full(graph_id, rules.limit)
        if not is_full and len(self._active) < self.max_running:
            return None
        here = Place(HIGHEST - LEVELS[priority], self._arrivals + 1)
        lines = self._open_lines(now_s) if not is_full else [self._lines[graph_id]] if graph_id in self._lines else []
        position = 1 + sum(line.before(here, now_s) for line in lines)
        return Wait(position, self._reason(graph_id, rules.limit))

    def enter(self, execution_id: ExecutionId, graph_id: GraphId) -> None:
        """Begin one. Idempotent."""
        self._active.add(execution_id)
        self.keep(execution_id, graph_id)

    def keep(self, execution_id: ExecutionId, graph_id: GraphId) -> None:
        """Count one that has begun and is paused among those of its graph. Idempotent."""
        self._graph_of[execution_id] = graph_id
        self._of_graph.setdefault(graph_id, {})[execution_id] = None

    def pause(self, execution_id: ExecutionId) -> None:
        """Make room for another one while this one is paused. Idempotent; ``enter`` goes on."""
        self._active.discard(execution_id)

    def leave(self, execution_id: ExecutionId) -> None:
        """End one. Idempotent."""
        self._active.discard(execution_id)
        graph_id = self._graph_of.pop(execution_id, None)
        if graph_id is not None:
            del self._of_graph[graph_id][execution_id]
            if not self._of_graph[graph_id]:
                del self._of_graph[graph_id]

    # --- what waits -----------------------------------------------------------------------------------------------

    def wait(
        self, execution_id: ExecutionId, graph_id: GraphId, limit: int | None, priority: Priority, since_s: float
    ) -> None:
        """Let one wait for its turn.

        Args:
            limit: Of its graph.
            since_s: When it came; not before those that wait already.
        """
        self._arrivals += 1
        line = self._common
        if limit is not None:
            line = self._lines.setdefault(graph_id, Line(ageing_s=self._ageing_s))
        line.add(execution_id, priority, number=self._arrivals, since_s=since_s)
        self._waiting[execution_id] = _Waiting(graph_id, limit)

    def forget(self, execution_id: ExecutionId) -> bool:
        """Let one go that waits; whether it did."""
        waiting = self._waiting.pop(execution_id, None)
        if waiting is None:
            return False
        line = self._line_of(waiting)
        line.remove(execution_id)
        if not line and waiting.limit is not None:
            del self._lines[waiting.graph_id]
        return True

    def next(self, now_s: float) -> ExecutionId | None:
        """Return the one whose turn it is, which has entered by then; None where there is no room, or nobody waits."""
        if not self._waiting or len(self._active) >= self.max_running:
            return None
        heads = [head for line in self._open_lines(now_s) if (head := line.first(now_s)) is not None]
        if not heads:
            return None
        _, execution_id = min(heads)
        graph_id = self._waiting[execution_id].graph_id
        self.forget(execution_id)
        self.enter(execution_id, graph_id)
        return execution_id

    def see(self, execution_id: ExecutionId, now_s: float) -> Wait:
        """Return where one stands that waits: among those of its graph while that is full, else among all others."""
        waiting = self._waiting[execution_id]
        line, lines = self._line_of(waiting), self._open_lines(now_s)
        place = line.place(execution_id, now_s)
        if line not in lines:
            lines = [line]
        position = 1 + sum(line.before(place, now_s) for line in lines)
        return Wait(position, self._reason(waiting.graph_id, waiting.limit))

    def see_all(self, now_s: float) -> Iterator[tuple[ExecutionId, Wait]]:
        """Return where everyone stands, whose turn is first at the front of each line."""
        lines = self._open_lines(now_s)
        merged = heapq.merge(*(line.in_order(now_s) for line in lines))
        for position, (_, execution_id) in enumerate(merged, 1):
            waiting = self._waiting[execution_id]
            yield execution_id, Wait(position, self._reason(waiting.graph_id, waiting.limit))
        for graph_id, line in self._lines.items():
            if line not in lines:
                for position, (_, execution_id) in enumerate(line.in_order(now_s), 1):
                    yield execution_id, Wait(position, self._reason(graph_id, self._waiting[execution_id].limit))

    def counts(self) -> dict[Priority, int]:
        """Return how many wait with each priority, where somebody does."""
        counts: dict[Priority, int] = {}
        for line in (self._common, *self._lines.values()):
            for priority, count in line.counts().items():
                counts[priority] = counts.get(priority, 0) + count
        return counts

    def oldest_s(self, now_s: float) -> float:
        """Return how long the one has waited that came first; 0 where nobody waits."""
        return max(line.oldest_s(now_s) for line in (self._common, *self._lines.values()))

    def _line_of(self, waiting: _Waiting) -> Line[ExecutionId]:
        return self._common if waiting.limit is None else self._lines[waiting.graph_id]

    def _open_lines(self, now_s: float) -> list[Line[ExecutionId]]:
        """Return the lines whose first one needs nothing but room in the service."""
        lines = [self._common]
        for graph_id, line in self._lines.items():
            head = line.first(now_s)
            if head is not None and not self._is_full(graph_id, self._waiting[head[1]].limit):
                lines.append(line)
        return lines

    def _is_full(self, graph_id: GraphId, limit: int | None) -> bool:
        return limit is not None and len(self._of_graph.get(graph_id, ())) >= limit

    def _reason(self, graph_id: GraphId, limit: int | None) -> str:
        if limit is not None and self._is_full(graph_id, limit):
            count = len(self._of_graph[graph_id])
            return f"{count:,} of this graph {'has' if count == 1 else 'have'} begun (limits.max_running)"
        run = "1 execution runs" if self.max_running == 1 else f"{self.max_running:,} executions run"
        return f"{run} (GRAPHWIRE_MAX_RUNNING)"
