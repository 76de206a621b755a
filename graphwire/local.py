"""Run a graph in this process: in a script, a notebook, a test. No server, no database."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from graphwire.clock import SystemClock
from graphwire.engine.attempt import Attempt
from graphwire.engine.context import Context
from graphwire.engine.ending import End, timeout, unanswered
from graphwire.engine.execution import Execution
from graphwire.engine.guards import Guards
from graphwire.engine.lanes import GRACE_S, Lanes
from graphwire.engine.linking import Part, compile_linked
from graphwire.engine.options import Options
from graphwire.engine.plan import ERRORS, Plan
from graphwire.engine.ports import ExecutionEnd
from graphwire.engine.reducers import to_bytes
from graphwire.engine.runner import Start
from graphwire.engine.start_state import freeze_start
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import Problem, quoted
from graphwire.events.encoding import Envelope, decode_line
from graphwire.events.types import EventData
from graphwire.graphs.builder import Graph
from graphwire.graphs.registry import Registry
from graphwire.graphs.shape import invalid_graph
from graphwire.graphs.validation import examined
from graphwire.ids import draw_seed, new_execution_id
from graphwire.live_run import Finished, start_live
from graphwire.nodes import builtin_registry
from graphwire.sinks import Sink, Sinks
from graphwire.types import ExecutionId, GraphId, Ordering, Status
from graphwire.values import freeze, thaw

_CLOCK = SystemClock()
_AS_FINISHED, _IN_ORDER = Options(), Options(in_order=True)
_LOG = logging.getLogger(__name__)


def prepare(graph: Graph, graphs: Iterable[Graph] = ()) -> Plan:
    """Check a graph and make it ready to run any number of times.

    Args:
        graph: The graph.
        graphs: Those that it names by their ids. Those that were given to ``Graph.subgraph`` are known.

    Raises:
        GraphInvalid: With every problem of the definition; or a graph that it runs cannot run.
    """
    registry = builtin_registry()
    known: dict[str, Graph] = {}
    for each in (graph, *graph.graphs, *graphs):
        if known.setdefault(each.id, each) is not each:
            detail = f"there are two graphs with the id {quoted(each.id)}"
            raise invalid_graph([Problem("", "duplicate_graph", detail)])

    def find(name: str) -> Part | None:
        return _part(known[name], registry) if name in known else None

    return compile_linked(_part(graph, registry), find, registry)


def _part(graph: Graph, registry: Registry) -> Part:
    code = graph.code
    definition, findings = examined(graph.value, registry, code=code)
    return Part(definition, code, findings.references)


async def run(
    graph: Graph | Plan,
    state: Mapping[str, Any] | None = None,
    *,
    seed: int | None = None,
    ordering: Ordering = "as_finished",
    on_event: Callable[[Envelope], None] | None = None,
    sinks: Sequence[Sink] = (),
    guards: Guards | None = None,
) -> Finished:
    """Run a graph to its end and return how it ended. A failed run is returned, not raised.

    Args:
        graph: The graph, or what ``prepare`` made of it.
        state: Replaces initial values of the graph, key by key.
        seed: Of the nodes' random numbers; drawn if it is not given.
        ordering: ``deterministic`` gives the same events in the same order for the same inputs.
        on_event: Called with each event, in order. Without it and without sinks no events are made, which is quicker.
        guards: Circuit breakers and quarantines that it shares with other runs; without them it has its own.
        sinks: Get every event too, each at its own speed; what one has not taken 5 s after the end is lost to it.

    Raises:
        GraphInvalid: The definition has problems.
        StateInvalid: The state is not JSON, too large, or does not fit the graph's schema.

    Cancelling it cancels the run.
    """
    plan = graph if isinstance(graph, Plan) else prepare(graph)
    encoded = freeze_start(state or {}, plan) if state or plan.schema is not None else {}
    in_order = ordering == "deterministic"
    if on_event is not None or sinks:
        options = Options(seed=draw_seed() if seed is None else seed, in_order=in_order)
        return await _observed(plan, Start(state=encoded, options=options), on_event, sinks, guards)
    async with Supervisor(drain_s=0) as supervisor:
        return await _Unobserved(plan, encoded, seed, in_order, supervisor, guards).run()


def run_sync(graph: Graph | Plan, state: Mapping[str, Any] | None = None, **options: Any) -> Finished:
    """As ``run``, for code without an event loop."""
    return asyncio.run(run(graph, state, **options))


async def _observed(
    plan: Plan,
    start: Start,
    on_event: Callable[[Envelope], None] | None,
    sinks: Sequence[Sink],
    guards: Guards | None,
) -> Finished:
    async with start_live(plan, start, is_read_once=not sinks, guards=guards) as live, Sinks(sinks) as delivered:
        live.deliver(delivered)
        if on_event is not None:
            async for lines in live.pages():
                for line in lines:
                    on_event(decode_line(line))
        return await live.finished()


def _finished(end: End, steps: int, duration_ms: float) -> Finished:
    """As ``live_run.finished``, without writing the state as JSON in between."""
    assert end.state is not None
    state = {key: thaw(to_bytes(value)) for key, value in end.state.values.items()}
    errors = thaw(end.state.get(ERRORS) or b"[]")
    return Finished(end.status, end.outcome, state, end.failure, steps, errors, duration_ms)


class _Nothing:
    """An emission that nobody hears."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


class _Unobserved:
    """An execution without a log. Fulfils ``lanes.Surroundings``."""

    from_threads: tuple[()] = ()

    def __init__(
        self,
        plan: Plan,
        state: Mapping[str, bytes],
        seed: int | None,
        in_order: bool,
        supervisor: Supervisor,
        guards: Guards | None,
    ) -> None:
        self._plan = plan
        self._seed = draw_seed() if seed is None and plan.draws else seed
        self._id: ExecutionId | None = None
        self._lanes = Lanes(
            name="lane:local",
            spawn=supervisor.spawn,
            threads=supervisor.threads,
            surroundings=self,
            node_timeout_s=plan.node_timeout_s,
            grace_s=GRACE_S,
        )
        self._execution = Execution(
            plan,
            state=state,
            options=self._options(in_order),
            clock=_CLOCK,
            performer=self._lanes,
            reporter=None,
            recorder=None,
            host=self,
            guards=guards,
        )
        self._lanes.execution = self._execution
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._end: End | None = None

    def _options(self, in_order: bool) -> Options:
        if self._seed is not None:
            return Options(seed=self._seed, in_order=in_order)
        return _IN_ORDER if in_order else _AS_FINISHED

    async def run(self) -> Finished:
        began_ns = _CLOCK.mono_ns()
        limit_s = self._plan.timeout_s
        limit = None
        if limit_s is not None:
            limit = asyncio.get_running_loop().call_later(
                limit_s, self._execution.stop, timeout("limits.timeout_s", limit_s)
            )
        try:
            self._lanes.start()
            await self._over
        finally:
            self._lanes.abort()
            if limit is not None:
                limit.cancel()
        assert self._end is not None
        return _finished(self._end, self._execution.steps, (_CLOCK.mono_ns() - began_ns) // 1000 / 1000)

    def became(self, status: Status) -> None:
        """See ``ending.Host``. Nobody can answer a node here: what would wait for ever fails."""
        asking = self._execution.suspending.asking
        if status == "paused" and asking:
            self._lanes.call_soon(partial(self._execution.stop, unanswered(asking)))

    def before_end(self, end: End) -> None:
        """See ``ending.Host``."""

    def after_end(self, end: End, record: Callable[[], ExecutionEnd]) -> None:
        """See ``ending.Host``."""
        self._end = end
        if not self._over.done():
            self._over.set_result(None)

    def context(self, attempt: Attempt, deadline: float | None) -> Context:
        """See ``lanes.Surroundings``. What only a context shows is made when there is one."""
        if self._id is None:
            self._id = new_execution_id(_CLOCK)
        if self._seed is None:
            self._seed = draw_seed()
        return Context(
            attempt,
            _unheard,
            execution_id=self._id,
            graph_id=GraphId(self._plan.definition.id),
            seed=self._seed,
            deadline=deadline,
        )

    def between(self, now_ns: int) -> Awaitable[None] | None:
        """See ``lanes.Surroundings``: nothing is stored, so nothing waits."""
        return None

    def before_effects(self) -> Awaitable[None] | None:
        """See ``lanes.Surroundings``."""
        return None

    def message(self, attempt: Attempt, value: Any) -> Awaitable[None]:
        """See ``lanes.Surroundings``."""
        freeze(value)
        return _NOTHING

    def warn(self, attempt: Attempt, problem: str, message: str, facts: Mapping[str, Any]) -> None:
        """See ``lanes.Surroundings``."""
        _LOG.warning("%s", message)

    def flush(self) -> None:
        """See ``lanes.Surroundings``."""

    def moved(self, now_ns: int) -> None:
        """See ``lanes.Surroundings``."""

    def broke(self, error: Exception) -> None:
        """See ``lanes.Surroundings``."""
        _LOG.error("the engine broke", exc_info=error)
        self._execution.abandon()


_NOTHING = _Nothing()


def _unheard(attempt: Attempt, event: EventData, size: int) -> Awaitable[None]:
    return _NOTHING
