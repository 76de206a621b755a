"""Which executions run at once, and which one is next: laws, against a slow model that follows the sentences."""

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from graphwire.engine.policies.admission import FREE, Admission, Rules
from graphwire.engine.policies.line import LEVELS, Line
from graphwire.types import ExecutionId, GraphId, Priority

PRIORITIES: list[Priority] = ["low", "normal", "high", "critical"]
GRAPH = GraphId("orders")


def queue(admission: Admission, id: str, priority: Priority = "normal", *, at: float = 0.0, limit: int | None = None,
          graph: GraphId = GRAPH) -> None:  # fmt: skip
    admission.wait(ExecutionId(id), graph, limit, priority, at)


def begun(admission: Admission, now: float) -> list[str]:
    """Let all begin that wait, one after the other, each as soon as the one before it has ended."""
    order: list[str] = []
    while (following := admission.next(now)) is not None:
        order.append(following)
        admission.leave(following)
    return order


@pytest.mark.capability("SCH-04")
def test_the_higher_priority_is_first_and_of_equals_the_one_that_came_first() -> None:
    admission = Admission(max_running=1)
    for id, priority in enumerate(["low", "high", "normal", "high"]):
        queue(admission, str(id), priority)  # type: ignore[arg-type]

    assert begun(admission, 0.0) == ["1", "3", "2", "0"]


@pytest.mark.capability("SCH-11")
def test_waiting_raises_a_priority_level_by_level_up_to_the_highest() -> None:
    line: Line[str] = Line(ageing_s=30.0)
    line.add("low", "low", number=1, since_s=0.0)

    assert [line.place("low", now).above for now in (0.0, 29.9, 30.0, 60.0, 90.0, 900.0)] == [3, 3, 2, 1, 0, 0]


@pytest.mark.capability("SCH-11")
def test_nobody_waits_for_ever_while_more_important_ones_keep_coming() -> None:
    admission = Admission(max_running=1, ageing_s=30.0)
    queue(admission, "low", "low")
    for second in range(1, 200):
        queue(admission, f"critical {second}", "critical", at=float(second))
        following = admission.next(float(second))
        assert following is not None
        admission.leave(following)
        if following == "low":
            break
    assert second == 90


@pytest.mark.capability("SCH-11")
def test_without_ageing_the_less_important_one_waits_on() -> None:
    admission = Admission(max_running=1, ageing_s=0)
    queue(admission, "low", "low")
    queue(admission, "critical", "critical", at=10_000.0)

    assert admission.next(10_000.0) == "critical"


def test_a_paused_one_makes_room_for_another_but_not_for_one_of_its_graph() -> None:
    admission = Admission(max_running=1)
    admission.enter(ExecutionId("a"), GRAPH)
    queue(admission, "b", limit=1)
    queue(admission, "c", graph=GraphId("other"))

    admission.pause(ExecutionId("a"))

    assert admission.see(ExecutionId("b"), 0.0) == (1, "1 of this graph has begun (limits.max_running)")
    assert admission.next(0.0) == "c"
    assert admission.next(0.0) is None


def test_a_graph_at_its_limit_holds_nobody_else_up() -> None:
    admission = Admission(max_running=2)
    admission.enter(ExecutionId("a"), GRAPH)
    queue(admission, "b", "critical", limit=1)
    assert admission.must_wait(GraphId("other"), FREE, "low", 0.0) is None
    queue(admission, "c", "low", graph=GraphId("other"))

    assert admission.next(0.0) == "c"
    admission.leave(ExecutionId("a"))
    assert admission.next(0.0) == "b"


def test_who_would_have_to_wait_is_told_its_place_before() -> None:
    admission = Admission(max_running=1)
    admission.enter(ExecutionId("a"), GRAPH)
    queue(admission, "b", "normal")
    queue(admission, "c", "low")

    positions = [admission.must_wait(GRAPH, FREE, priority, 0.0) for priority in PRIORITIES]

    assert [wait.position for wait in positions if wait is not None] == [3, 2, 1, 1]
    assert positions[0] is not None
    assert positions[0].reason == "1 execution runs (GRAPHWIRE_MAX_RUNNING)"


@given(
    st.lists(st.tuples(st.sampled_from(PRIORITIES), st.floats(0, 40)), max_size=40),
    st.floats(0, 200),
    st.sampled_from([0.0, 1.0, 30.0]),
)
def test_a_place_is_how_many_begin_before(arrivals: list[tuple[Priority, float]], later: float, ageing: float) -> None:
    admission = Admission(max_running=1, ageing_s=ageing)
    now = 0.0
    for number, (priority, gap) in enumerate(arrivals):
        now += gap
        queue(admission, str(number), priority, at=now)
    now += later

    seen = {id: wait.position for id, wait in admission.see_all(now)}
    alone = {id: admission.see(id, now).position for id in seen}

    assert seen == alone
    assert {id: place for place, id in enumerate(begun(admission, now), 1)} == seen


class Queueing(RuleBasedStateMachine):
    """Random starts, ends, pauses, cancels and time, against lists that are sorted anew each time."""

    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission(max_running=3, ageing_s=30.0)
        self.now = 0.0
        self.count = 0
        self.waiting: dict[str, tuple[GraphId, int | None, Priority, float, int]] = {}
        self.active: dict[str, GraphId] = {}
        self.paused: dict[str, GraphId] = {}

    def is_full(self, graph: GraphId, limit: int | None) -> bool:
        return limit is not None and [*self.active.values(), *self.paused.values()].count(graph) >= limit

    @rule(graph=st.sampled_from(["a", "b", "c"]), priority=st.sampled_from(PRIORITIES))
    def start(self, graph: GraphId, priority: Priority) -> None:
        limit = {"a": None, "b": 1, "c": 2}[graph]
        self.count += 1
        id = ExecutionId(str(self.count))
        wait = self.admission.must_wait(graph, Rules(limit), priority, self.now)
        assert (wait is not None) == (len(self.active) >= 3 or self.is_full(graph, limit))
        if wait is None:
            self.admission.enter(id, graph)
            self.active[id] = graph
        else:
            self.admission.wait(id, graph, limit, priority, self.now)
            self.waiting[id] = graph, limit, priority, self.now, self.count
            assert self.admission.see(id, self.now) == wait
        self.pump()

    @precondition(lambda self: self.active)
    @rule(data=st.data(), pauses=st.booleans())
    def stop(self, data: st.DataObject, pauses: bool) -> None:
        id = ExecutionId(data.draw(st.sampled_from(sorted(self.active))))
        graph = self.active.pop(id)
        if pauses:
            self.paused[id] = graph
            self.admission.pause(id)
        else:
            self.admission.leave(id)
        self.pump()

    @precondition(lambda self: self.paused)
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        id = ExecutionId(data.draw(st.sampled_from(sorted(self.paused))))
        self.active[id] = self.paused.pop(id)
        self.admission.enter(id, self.active[id])

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.waiting)))
        del self.waiting[id]
        assert self.admission.forget(ExecutionId(id))
        assert not self.admission.forget(ExecutionId(id))

    @rule(seconds=st.sampled_from([0.5, 10.0, 45.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    def pump(self) -> None:
        while True:
            free = {id: one for id, one in self.waiting.items() if not self.is_full(one[0], one[1])}
            expected = min(free, key=lambda id: self.rank(*free[id]), default=None) if len(self.active) < 3 else None
            assert self.admission.next(self.now) == expected
            if expected is None:
                return
            self.active[expected] = self.waiting.pop(expected)[0]

    def rank(self, graph: GraphId, limit: int | None, priority: Priority, since: float, number: int) -> tuple[int, int]:
        return -min(3, LEVELS[priority] + int((self.now - since) / 30.0)), number

    @invariant()
    def counts_agree(self) -> None:
        assert self.admission.running == len(self.active)
        assert self.admission.queued == len(self.waiting)
        assert sum(self.admission.counts().values()) == len(self.waiting)
        assert {id for id, _ in self.admission.see_all(self.now)} == self.waiting.keys()


TestQueueing = Queueing.TestCase
TestQueueing.settings = settings(max_examples=60, stateful_step_count=40)
