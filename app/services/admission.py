"""Lets executions begin as far as there is room, and keeps those that have to wait."""

import asyncio
from functools import partial

from app.services.announcements import Announce
from graphwire.clock import Clock
from graphwire.engine.policies.admission import Admission, Rules, Wait
from graphwire.engine.runner import Runner
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import AlreadyRunning
from graphwire.events.service_types import SystemQueueStatus
from graphwire.events.types import ExecutionQueued
from graphwire.types import ExecutionId, GraphId, Priority, Status

LOOK_S = 2.0
"""Between two looks at the places of those that wait."""
TOLD_AT_ONCE = 100
"""So many at most are told their places at one look, those first whose turn is next."""
NAMED = 10
"""Of the executions that are in the way, so many are named."""
STATUS_S = 30.0
"""Between two events about a queue that lasts."""


class Admissions:
    """The queue of a service.

    A place is told again when it is half of what was told before, or twice, or the first: so an execution is told a
    handful of times, however long the queue is.

    Args:
        announce: Told when executions begin to wait, and when none does any more.
    """

    def __init__(self, policy: Admission, supervisor: Supervisor, clock: Clock, announce: Announce) -> None:
        self._policy = policy
        self._supervisor = supervisor
        self._now_ns = clock.mono_ns
        self._wall_ns = clock.wall_ns
        self._announce = announce
        self._waiting: dict[ExecutionId, tuple[Runner, Priority]] = {}
        self._storing: dict[ExecutionId, GraphId] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._told_s = float("-inf")
        self._is_told = False
        self._is_closed = False
        supervisor.when_joined = self._joined
        supervisor.when_left = self._left

    @property
    def policy(self) -> Admission:
        """What runs and what waits; read it, do not call what changes it."""
        return self._policy

    def close(self) -> None:
        """Let none begin any more. Idempotent."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def admit(
        self, execution_id: ExecutionId, graph_id: GraphId, rules: Rules, priority: Priority
    ) -> ExecutionQueued | None:
        """Make room for an execution; where there is none, return what is told of its wait.

        ``launch`` or ``refuse`` follows.

        Raises:
            AlreadyRunning: The graph lets no more be started while it runs.
        """
        if rules.overlap == "reject":
            self._require_none(graph_id, rules)
        wait = self._policy.must_wait(graph_id, rules, priority, self._now_s())
        if wait is not None:
            self._storing[execution_id] = graph_id
            return _queued(wait, priority)
        self._policy.enter(execution_id, graph_id)
        return None

    def expect(self, execution_id: ExecutionId, graph_id: GraphId) -> None:
        """Count one that an earlier process began, and that goes on soon: also where there is no room.

        The runner is submitted, or ``refuse`` follows.
        """
        self._policy.enter(execution_id, graph_id)

    def refuse(self, execution_id: ExecutionId) -> None:
        """Take the room back: the start could not be stored."""
        self._storing.pop(execution_id, None)
        self._policy.leave(execution_id)
        self._fill()

    def launch(self, runner: Runner, rules: Rules, priority: Priority) -> None:
        """Carry an accepted execution out, or let it wait."""
        if runner.queued is None:
            self._supervisor.submit(runner)
        else:
            del self._storing[runner.id]
            self._wait(runner, rules, priority, self._now_s())
            self._fill()

    def take_up(self, runner: Runner, rules: Rules, priority: Priority) -> None:
        """Let one wait again that an earlier process has accepted. Those that came first first; then ``go_on``."""
        waited_ns = self._wall_ns() - int(runner.started_at.timestamp() * 1e9)
        self._wait(runner, rules, priority, self._now_s() - max(0, waited_ns) / 1e9)

    def go_on(self) -> None:
        """Let those begin for whom there is room."""
        self._fill()

    def see(self, execution_id: ExecutionId) -> ExecutionQueued | None:
        """Return the place of one that waits, as of now; None for any other."""
        if execution_id not in self._waiting:
            return None
        _, priority = self._waiting[execution_id]
        return _queued(self._policy.see(execution_id, self._now_s()), priority)

    def look(self) -> None:
        """Tell those their places for whom they have changed, and of the queue as a whole."""
        now_s = self._now_s()
        left = TOLD_AT_ONCE
        for execution_id, wait in self._policy.see_all(now_s):
            runner, priority = self._waiting[execution_id]
            told = runner.queued
            if told is not None and _has_moved(told.position, wait.position):
                runner.requeue(_queued(wait, priority))
                left -= 1
                if not left:
                    break
        is_waiting = bool(self._policy.queued)
        if is_waiting != self._is_told or (is_waiting and now_s - self._told_s >= STATUS_S):
            self._is_told, self._told_s = is_waiting, now_s
            self._announce(self.status())

    def status(self) -> SystemQueueStatus:
        """Return what is told of the queue."""
        policy = self._policy
        return SystemQueueStatus(
            queued=policy.queued,
            running=policy.running,
            max_running=policy.max_running,
            by_priority=policy.counts(),
            oldest_s=round(policy.oldest_s(self._now_s()), 3),
        )

    def elder(self, runner: Runner, rules: Rules) -> list[Runner]:
        """Return those of its graph that have to end so that this one can run."""
        begun = [id for id in self._policy.begun(runner.graph_id) if id != runner.id]
        waiting = self._policy.waiting_of(runner.graph_id)
        if runner.id in waiting:
            waiting = waiting[: waiting.index(runner.id)]
        others = [*begun, *waiting]
        too_many = others[: max(0, len(others) + 1 - (rules.limit or 1))]
        return [found for id in too_many if (found := self._supervisor.get(id)) is not None]

    def _require_none(self, graph_id: GraphId, rules: Rules) -> None:
        accepted = [id for id, graph in self._storing.items() if graph == graph_id]
        others = [*self._policy.begun(graph_id), *self._policy.waiting_of(graph_id), *accepted]
        if len(others) >= (rules.limit or 1):
            have = (
                "1 execution of this graph has"
                if len(others) == 1
                else f"{len(others):,} executions of this graph have"
            )
            detail = f"{have} not ended, and it lets no more start (on_overlap)"
            raise AlreadyRunning(detail, executions=others[:NAMED])

    # --- what changes ---------------------------------------------------------------------------------------------

    def _joined(self, runner: Runner) -> None:
        self._policy.enter(runner.id, runner.graph_id)
        runner.when_became = partial(self._became, runner)
        if runner.status == "paused":  # an earlier process left it so
            self._became(runner, "paused")

    def _became(self, runner: Runner, status: Status) -> None:
        if status == "paused":
            self._policy.pause(runner.id)
            self._fill()
        elif status == "running":
            self._policy.enter(runner.id, runner.graph_id)  # it goes on at once, also where there is no room

    def _left(self, runner: Runner) -> None:
        if runner.status == "paused" and not runner.hub.is_lost:  # it comes back to go on
            self._policy.pause(runner.id)
        else:
            self._policy.leave(runner.id)
        self._fill()

    def _wait(self, runner: Runner, rules: Rules, priority: Priority, since_s: float) -> None:
        self._waiting[runner.id] = runner, priority
        self._supervisor.hold(runner)
        runner.when_over = partial(self._gone, runner)
        self._policy.wait(runner.id, runner.graph_id, rules.limit, priority, since_s)
        if self._timer is None and not self._is_closed:
            # At once where nothing was told of late: whoever follows the service learns of it.
            wait_s = max(0.0, LOOK_S - (self._now_s() - self._told_s))
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._look_again)

    def _gone(self, runner: Runner) -> None:
        """It was cancelled before it began, or is let go of."""
        self._waiting.pop(runner.id, None)
        self._policy.forget(runner.id)
        self._supervisor.release(runner)

    def _fill(self) -> None:
        while not self._is_closed and (following := self._policy.next(self._now_s())) is not None:
            runner, _ = self._waiting.pop(following)
            if runner.begin():
                runner.when_over = None
                self._supervisor.submit(runner)
            else:
                self._policy.leave(following)

    def _look_again(self) -> None:
        self._timer = None
        self.look()
        if self._policy.queued and not self._is_closed:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look_again)
        elif self._is_told:  # the last one begins between two looks
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look_again)

    def _now_s(self) -> float:
        return self._now_ns() / 1e9


def _queued(wait: Wait, priority: Priority) -> ExecutionQueued:
    return ExecutionQueued(position=wait.position, priority=priority, reason=wait.reason)


def _has_moved(told: int, position: int) -> bool:
    return 2 * position <= told or position >= 2 * told
