"""The asyncio side of an execution: it carries attempts out, in as few tasks as there is real parallelism.

A lane is a task that takes an attempt, performs it, reports how it ended, and takes the next: a chain needs one
lane for all its nodes. No lane owns the execution, so one that hangs in a node that swallows its cancellation is
given up and the others, or a new one, go on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sized
from concurrent.futures import Executor, Future
from contextlib import aclosing
from functools import partial
from types import CodeType
from typing import Any, Protocol

from graphwire.engine.attempt import Attempt
from graphwire.engine.context import Context
from graphwire.engine.offspring import Offspring, end_children
from graphwire.engine.permitting import Permits, Wait
from graphwire.engine.policies.governor import Lease
from graphwire.engine.results import Goto, Result
from graphwire.engine.timers import Timers, timed_out
from graphwire.errors import BudgetExhausted, InputError, NodeError, quoted
from graphwire.graphs.behaviour import Call, Compute, Missing, Mode, Parameter
from graphwire.types import Priority
from graphwire.values import thaw

SLICE_NS = 1_000_000
GRACE_S = 5.0
_ASYNC, _STREAM = Mode.ASYNC, Mode.STREAM


class Spawn(Protocol):
    """Makes a task with an owner."""

    def __call__(self, coro: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]: ...


class Surroundings(Protocol):
    """What lanes ask of the runner that they serve."""

    def context(self, attempt: Attempt, deadline: float | None) -> Context:
        """Make the context of an attempt whose function wants one."""
        ...

    def between(self, now_ns: int) -> Awaitable[None] | None:
        """Return what to wait for before the next attempt is taken; None to go on at once."""
        ...

    def before_effects(self) -> Awaitable[None] | None:
        """Return what to wait for before a node is run whose effects are seen outside; None to go on at once."""
        ...

    def message(self, attempt: Attempt, value: Any) -> Awaitable[None]:
        """Publish what an async generator yielded.

        Raises:
            StateNotSerializable: It is not JSON.
        """
        ...

    def warn(self, attempt: Attempt, problem: str, message: str, facts: Mapping[str, Any]) -> None:
        """Tell the user of the graph about a node that misbehaves."""
        ...

    @property
    def from_threads(self) -> Sized:
        """What threads have handed over and is not published yet."""
        ...

    def flush(self) -> None:
        """Publish what threads have handed over: an attempt ends, and with it what it may say."""
        ...

    def moved(self, now_ns: int) -> None:
        """An attempt ended."""
        ...

    def broke(self, error: Exception) -> None:
        """The engine itself failed: end the execution."""
        ...


class Lane:
    """One task and what it is at.

    Attributes:
        is_interrupted: The attempt is to end; what its node returns from now on does not count.
        future: What runs in a thread for it.
        is_lost: The lane was given up: the execution goes on without it.
        error: What an interrupted attempt fails with; None if it is cancelled.
        children: Tasks that its attempt has made and that are not done.
        lease: Its leave to run the attempt; ``asks``: its wait for one; ``is_refused``: that took too long.
    """

    __slots__ = (
        "asks", "attempt", "children", "error", "future", "in_thread", "is_interrupted", "is_lost", "is_refused",
        "lease", "task", "timer",
    )  # fmt: skip

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.attempt: Attempt | None = None
        self.in_thread = False
        self.is_interrupted = False
        self.is_lost = False
        self.error: NodeError | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.future: Future[Any] | None = None
        self.lease: Lease | None = None
        self.asks: Wait | None = None
        self.is_refused = False
        self.children: set[asyncio.Future[Any]] | None = None

    @property
    def is_at_work(self) -> bool:
        """See ``offspring.Parent``."""
        return self.attempt is not None


class Lanes(Timers):
    """Performs the attempts of one execution. Fulfils ``execution.Performer``."""

    def __init__(
        self,
        *,
        name: str,
        spawn: Spawn,
        threads: Executor,
        surroundings: Surroundings,
        node_timeout_s: float | None,
        grace_s: float = GRACE_S,
    ) -> None:
        self._name = name
        self._spawn = spawn
        self._threads = threads
        self._surroundings = surroundings
        super().__init__(node_timeout_s)
        self._grace_s = grace_s
        self._permits: Permits | None = None
        self._priority: Priority = "normal"
        self._asking = 0
        self._lanes: set[Lane] = set()
        self._is_starting = False
        self._slice_ends = 0
        self._is_aborted = False

    def start(self, begin: Callable[[], None] | None = None) -> None:
        """Let the execution begin, or go on as ``begin`` does."""
        self.call(begin or self.execution.start)

    def wake(self) -> None:
        """See to it that somebody takes what is ready."""
        if self.execution.has_ready and not self._is_starting and not self._is_aborted and not self._asking:
            self._is_starting = True
            lane = Lane()
            self._lanes.add(lane)
            lane.task = self._spawn(self._run(lane), name=self._name)

    def abort(self) -> None:
        """Cancel every lane and timer; nothing more is reported."""
        self._is_aborted = True
        self.forget_all()
        for lane in self._lanes:
            if lane.timer is not None:
                lane.timer.cancel()
            if lane.task is not None:
                lane.task.cancel()

    def turn(self) -> "Turn":
        """Return an awaitable that lets others run when the time slice is over."""
        return Turn(self)

    # --- what the execution asks --------------------------------------------------------------------------------

    def interrupt(self, attempt: Attempt) -> None:
        """See ``Performer.interrupt``."""
        lane: Lane | None = attempt.lane
        if lane is None:
            self.call_soon(partial(self.execution.closed, attempt))
        elif not lane.is_interrupted:
            self._interrupt(lane)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """See ``Performer.call_soon``."""
        self._loop.call_soon(self.call, callback)

    def call(self, callback: Callable[[], None]) -> None:
        """Tell the execution something from outside a lane, and see to what follows."""
        if self._is_aborted:
            return
        try:
            callback()
        except Exception as error:  # border: as in a lane
            self._surroundings.broke(error)
        self._surroundings.moved(time.monotonic_ns())
        self.wake()

    # --- a lane -------------------------------------------------------------------------------------------------

    async def _run(self, lane: Lane) -> None:
        self._is_starting = False
        task = lane.task = asyncio.current_task()
        assert task is not None
        offspring = Offspring.here()
        offspring.own(task, lane)
        try:
            await self._work(lane, task)
        except asyncio.CancelledError:
            if self._is_aborted:
                raise
            # A node cancelled its own task: what it left behind must not reach the next node.
        except Exception as error:  # border: a fault of the engine must not leave an execution without an end
            self._surroundings.broke(error)
        finally:
            offspring.disown(task)
            if lane.lease is not None:
                lane.lease.release()
            self._lanes.discard(lane)
        self.wake()

    async def _work(self, lane: Lane, task: "asyncio.Task[Any]") -> None:
        """Take attempts and perform them until there is none, or the lane's task is marked by a cancellation."""
        execution, surroundings, now_ns = self.execution, self._surroundings, self.execution.now_ns
        now, permits = now_ns(), self._permits
        self._slice_ends = now + SLICE_NS
        while not lane.is_lost and not task.cancelling():
            waiting = surroundings.between(now)
            if waiting is not None:
                await waiting
                now = now_ns()
                continue
            if permits is not None:
                await self._ask(lane, permits)
            attempt = execution.take()
            if attempt is None:
                if lane.lease is not None:
                    lane.lease.give_back()
                if not execution.has_ready:
                    break
                now = now_ns()
            elif lane.is_refused:
                execution.finish(attempt, error=_too_busy(attempt))
            else:
                if execution.dispatchable:
                    self.wake()
                behaviour = attempt.node.behaviour
                if type(behaviour) is Compute:
                    self._compute(attempt, behaviour)
                    now = now_ns()
                else:
                    now = await self._perform(lane, attempt, behaviour)  # type: ignore[arg-type]  # others need no lane
            if now >= self._slice_ends:
                await asyncio.sleep(0)
                self._slice_ends = now_ns() + SLICE_NS

    async def _ask(self, lane: Lane, permits: Permits) -> None:
        """Get leave for what is ready first, before it holds a slot."""
        if lane.lease is not None:
            lane.lease.release()
        lane.lease, lane.is_refused = None, False
        execution = self.execution
        if not execution.has_ready or not (node := execution.dispatchable[0].node).needs_slot:
            return
        cost, priority = node.definition.cost, node.definition.priority or self._priority
        lane.lease = permits.take(cost, priority)
        if lane.lease is not None:
            return
        lane.asks = asks = permits.wait(cost, priority)
        self._asking += 1
        try:
            lane.lease = await asks
            lane.is_refused = lane.lease is None
        except asyncio.CancelledError:
            asks.cancel()
            task = asyncio.current_task()
            if self._is_aborted or (task is not None and task.cancelling()):
                raise
        finally:
            lane.asks = None
            self._asking -= 1

    def govern(self, permits: Permits, priority: Priority) -> None:
        """Have every node ask before it begins. Before ``start``.

        Args:
            priority: Of nodes that have none of their own.
        """
        self._permits, self._priority = permits, priority

    def ask_no_more(self) -> None:
        """Nothing begins any more: nobody waits for leave."""
        for lane in self._lanes:
            if lane.asks is not None:
                lane.asks.cancel()

    def _compute(self, attempt: Attempt, behaviour: Compute) -> None:
        try:
            value = behaviour.compute(attempt.state.view())
        except NodeError as error:
            self.execution.finish(attempt, error=error)
        else:
            self.execution.finish(attempt, value)

    async def _perform(self, lane: Lane, attempt: Attempt, call: Call) -> int:
        """Perform one attempt and report how it ended; return when."""
        lane.attempt = attempt
        attempt.lane = lane
        node = attempt.node
        limit = node.timeout_s or self._node_timeout_s
        value: Any = None
        failure: BaseException | None = None
        try:
            if node.effects and (waiting := self._surroundings.before_effects()) is not None:
                await waiting
            if limit is not None:  # only now: waiting for the store is no fault of the node
                lane.timer = self._loop.call_later(limit, self._overrun, lane, attempt, limit)
            arguments = self._arguments(attempt, call, limit) if call.parameters else {}
            if call.mode is _ASYNC:
                value = await call.function(**arguments)
            elif call.mode is _STREAM:
                value = await self._consume(attempt, call.function(**arguments))
            else:
                value = await self._in_thread(lane, call.function, arguments)
        except BaseException as error:  # border: node code may raise anything, SystemExit included
            failure = error
        finally:
            attempt.lane = lane.attempt = None
            left = 0 if lane.children is None else end_children(lane)
            if lane.timer is not None:
                lane.timer.cancel()
                lane.timer = None
        if self._is_aborted:
            raise asyncio.CancelledError
        now = self.execution.now_ns()
        if self._surroundings.from_threads:
            self._surroundings.flush()
        if lane.is_interrupted:
            self._interrupted(lane, attempt)
            return now
        if attempt.held_ns:
            self._tell_held(attempt)
        if left:
            self._tell_left(attempt, left)
        self.execution.finish(attempt, value, failure, now)
        return now

    async def _in_thread(self, lane: Lane, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        lane.in_thread = True
        try:
            lane.future = self._threads.submit(_called, function, arguments)
            value, error = await asyncio.wrap_future(lane.future)
        finally:
            lane.in_thread, lane.future = False, None
        if error is not None:
            raise error
        return value

    def _interrupted(self, lane: Lane, attempt: Attempt) -> None:
        error, lane.error, lane.is_interrupted = lane.error, None, False
        if lane.is_lost:
            self.execution.lose_slots(-1)
        elif error is not None:
            self.execution.finish(attempt, error=error)
        else:
            self.execution.closed(attempt)

    async def _consume(self, attempt: Attempt, generator: Any) -> Any:
        result: Any = None
        async with aclosing(generator):
            async for value in generator:
                result = value
                if not isinstance(value, (Result, Goto)):
                    await self._surroundings.message(attempt, value)
        return result

    def _arguments(self, attempt: Attempt, call: Call, limit: float | None) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for parameter in call.parameters:
            source = parameter.source
            if source == "context":
                deadline = None if limit is None else time.monotonic() + limit
                arguments[parameter.name] = self._surroundings.context(attempt, deadline)
            elif source == "state":
                arguments[parameter.name] = attempt.state.view()
            else:
                arguments[parameter.name] = _argument(attempt, parameter)
        return arguments

    # --- interruption -------------------------------------------------------------------------------------------

    def _interrupt(self, lane: Lane) -> None:
        lane.is_interrupted = True
        if lane.future is not None:
            lane.future.cancel()  # has an effect only while it waits for a thread
        elif lane.task is not None:
            lane.task.cancel()
        if lane.timer is not None:
            lane.timer.cancel()
        assert lane.attempt is not None
        lane.timer = self._loop.call_later(self._grace_s, self._give_up, lane, lane.attempt)

    def _overrun(self, lane: Lane, attempt: Attempt, limit_s: float) -> None:
        if lane.attempt is attempt and not lane.is_interrupted:
            lane.error = timed_out(attempt, limit_s)
            attempt.reason = "timeout"
            self._interrupt(lane)

    def _give_up(self, lane: Lane, attempt: Attempt) -> None:
        """The grace period is over and the node still runs: go on without it."""
        if lane.attempt is not attempt:
            return
        lane.is_lost = True
        end_children(lane)
        self.execution.lose_slots(1)
        self.call(partial(self._given_up, lane, attempt))

    def _given_up(self, lane: Lane, attempt: Attempt) -> None:
        kind = "its thread still runs" if lane.in_thread else "it swallowed its cancellation"
        self._surroundings.warn(
            attempt,
            "node_did_not_stop",
            f"Node {quoted(attempt.node.id)} did not stop within {self._grace_s:g} s: {kind}. Its result is discarded.",
            {"node": attempt.node.id, "grace_s": self._grace_s},
        )
        if lane.error is not None:
            self.execution.finish(attempt, error=lane.error)
        else:
            self.execution.closed(attempt)

    def _tell_left(self, attempt: Attempt, count: int) -> None:
        self._surroundings.warn(
            attempt,
            "tasks_left_behind",
            f"Node {quoted(attempt.node.id)} left {count} of its tasks behind: they were cancelled with its attempt. "
            "Await them, or give one that is to live on a context of its own.",
            {"node": attempt.node.id, "tasks": count},
        )

    def _tell_held(self, attempt: Attempt) -> None:
        duration_ms = attempt.held_ns // 1_000_000
        self._surroundings.warn(
            attempt,
            "event_loop_blocked",
            f"Node {quoted(attempt.node.id)} held the event loop for {duration_ms} ms or more. "
            "Make it a plain function (it then runs in a thread), or await more often.",
            {"node": attempt.node.id, "held_ms": duration_ms},
        )


def _too_busy(attempt: Attempt) -> BudgetExhausted:
    detail = f"node {quoted(attempt.node.id)} waited too long for leave to begin (GRAPHWIRE_GOVERNANCE_MAX_WAIT_S)"
    return BudgetExhausted(detail)


class Turn:
    """Awaited: lets others run if the time slice is over."""

    __slots__ = ("_lanes",)

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def __await__(self) -> Generator[None, None, None]:
        if time.monotonic_ns() >= self._lanes._slice_ends:
            yield
            self._lanes._slice_ends = time.monotonic_ns() + SLICE_NS


def _called(function: Callable[..., Any], arguments: Mapping[str, Any]) -> tuple[Any, BaseException | None]:
    # Caught here: a StopIteration or SystemExit must not travel through a future.
    try:
        return function(**arguments), None
    except BaseException as error:  # border: node code
        return None, error


def _argument(attempt: Attempt, parameter: Parameter) -> Any:
    expression = attempt.node.inputs.get(parameter.name)
    if expression is not None:
        try:
            return expression.evaluate({"state": attempt.state.view()})
        except NodeError as error:
            raise InputError(f"input {quoted(parameter.name)}: {error.detail}") from error
    encoded = attempt.state.get(parameter.name)
    if encoded is not None:
        return thaw(encoded)
    if parameter.default is Missing.MISSING:
        raise InputError(
            f"the state has no key {quoted(parameter.name)} for the parameter of that name, and it has no default"
        )
    return parameter.default


PERFORMING: CodeType = Lanes._perform.__code__
"""Where a node of a lane is below on the stack, with ``attempt`` as a local variable."""
