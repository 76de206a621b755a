"""Activations that wait for an answer from outside: they cost no task and no slot."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

from graphwire.clock import Clock
from graphwire.engine.attempt import Asked, Attempt, Phase, below
from graphwire.engine.performing import Performer
from graphwire.engine.records import Recorder
from graphwire.engine.report import Reporter
from graphwire.errors import GraphInvalid, InterruptClosed, InterruptExpired, InvalidInput, NotFound, quoted
from graphwire.events import types
from graphwire.events.timestamps import format_timestamp
from graphwire.graphs.state_schema import StateSchema
from graphwire.near_names import NearNames
from graphwire.values import freeze, thaw

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution


class Interruption(BaseException):
    """Ends the run of a node that asks something. No ``Exception``: what a node catches must not swallow it."""

    def __init__(self, payload: bytes, schema: bytes | None, timeout_s: float | None) -> None:
        super().__init__("the node waits for input")
        self.payload = payload
        self.schema = schema
        self.timeout_s = timeout_s


class Interrupt(Struct, frozen=True):
    """An open question.

    Attributes:
        payload: What is asked, as JSON.
        schema: JSON Schema of the answer; None where any JSON value will do.
        expires_us: Until when an answer is taken, wall time in microseconds since the Unix epoch.
        seq: Number of the event that tells of it.
    """

    id: str
    attempt: Attempt
    payload: bytes
    schema: bytes | None = None
    expires_us: int | None = None
    seq: int = 0

    def require_fit(self, value: Any) -> None:
        """Check an answer.

        Raises:
            InvalidInput: It does not fit the schema; pointers begin with ``/value``.
        """
        if self.schema is not None:
            problems = StateSchema(thaw(self.schema)).problems(value, at="/value", code="value_invalid")
            if problems:
                detail = f"the value does not fit what the node asked for: {problems[0].detail}"
                raise InvalidInput(detail, problems)


def interruption_of(error: BaseException) -> Interruption | None:
    """Return the question that an attempt ended with; None where it ended with an error.

    A node that asks inside a task group ends with a group of it.
    """
    if isinstance(error, Interruption):
        return error
    if isinstance(error, BaseExceptionGroup):
        leaves: list[BaseException] = [error]
        for leaf in leaves:
            if isinstance(leaf, BaseExceptionGroup):
                leaves.extend(leaf.exceptions)
        asked = [leaf for leaf in leaves if not isinstance(leaf, BaseExceptionGroup)]
        first = asked[0]
        if isinstance(first, Interruption) and all(isinstance(leaf, Interruption) for leaf in asked):
            return first
    return None


def ask(attempt: Attempt, number: int, payload: Any, schema: Mapping[str, Any] | None, timeout_s: float | None) -> Any:
    """Return the answer to the question that a run of a node asks as its ``number``-th, from 1; else end the run.

    Raises:
        Interruption: It is not answered yet.
        StateNotSerializable: The payload or the schema is not JSON.
        ValueError: The schema is no JSON Schema, or the time-out is no positive number.
    """
    answers = attempt.asked.answers if attempt.asked is not None else []
    if number <= len(answers):
        return thaw(answers[number - 1])
    if timeout_s is not None and not 0 < timeout_s < float("inf"):
        raise ValueError("timeout_s is a positive number of seconds")
    frozen: bytes | None = None
    if schema is not None:
        frozen = freeze(schema)
        try:
            StateSchema(thaw(frozen))
        except (GraphInvalid, TypeError, ValueError) as error:
            raise ValueError(f"schema: {error}") from None
    raise Interruption(freeze(payload), frozen, timeout_s)


class Suspending:
    """The suspended activations of one execution.

    Attributes:
        interrupts: Those that are open, in the order in which they were asked.
    """

    def __init__(
        self,
        execution: "Execution",
        clock: Clock,
        performer: Performer,
        reporter: Reporter | None,
        recorder: Recorder | None,
    ) -> None:
        self.interrupts: dict[str, Interrupt] = {}
        self._closed: set[str] = set()
        self._execution = execution
        self._clock = clock
        self._performer = performer
        self._report = reporter
        self._recorder = recorder

    # --- asked ----------------------------------------------------------------------------------------------------

    def suspend(self, attempt: Attempt, question: Interruption) -> None:
        """The run of an attempt ended with a question."""
        asked = attempt.asked
        interrupt_id = f"{attempt.activation.id}.{1 if asked is None else asked.count + 1}"
        expires_us = None
        if question.timeout_s is not None:
            expires_us = self._clock.wall_ns() // 1000 + round(question.timeout_s * 1e6)
        if self._recorder is not None:
            self._recorder.begin()
        seq = 0
        if self._report is not None:
            self._execution.emissions.close(attempt)
            question_told = Interrupt(interrupt_id, attempt, question.payload, question.schema, expires_us)
            seq = self._report.node(attempt, _told(question_told))
        if self._recorder is not None:
            self._recorder.suspended(attempt, interrupt_id, expires_us, question.payload, question.schema)
        self.suspended(Interrupt(interrupt_id, attempt, question.payload, question.schema, expires_us, seq))
        if expires_us is not None:
            self._performer.expire_at(interrupt_id, expires_us)

    def suspended(self, interrupt: Interrupt) -> None:
        """An activation waits for an answer from now on. Also for restoring."""
        attempt = interrupt.attempt
        asked = attempt.asked = attempt.asked or Asked()
        asked.count += 1
        asked.waits_for = interrupt.id
        asked.failure = None
        attempt.phase = Phase.SUSPENDED
        attempt.dropped = 0
        attempt.scope.attempts[attempt] = None
        self.interrupts[interrupt.id] = interrupt
        self._execution.control.attend()

    def rename(self, interrupt: Interrupt) -> None:
        """Ask the same under a new name: of another execution, which goes on from here."""
        attempt = interrupt.attempt
        del self.interrupts[interrupt.id]
        assert attempt.asked is not None
        new_id = f"{attempt.activation.id}.{attempt.asked.count + 1}"
        self.suspended(replace(interrupt, id=new_id, seq=0))

    def tell_again(self) -> None:
        """Tell of what is open in a history that does not know of it."""
        if self._report is None:
            return
        for interrupt in list(self.interrupts.values()):
            self._report.begun(interrupt.attempt, ())
            seq = self._report.node(interrupt.attempt, _told(interrupt))
            self.interrupts[interrupt.id] = replace(interrupt, seq=seq)

    # --- answered -------------------------------------------------------------------------------------------------

    def require(self, interrupt_id: str) -> Interrupt:
        """Return an open interrupt.

        Raises:
            InterruptClosed: It is not open any more.
            NotFound: There never was one.
        """
        interrupt = self.interrupts.get(interrupt_id)
        if interrupt is not None:
            return interrupt
        if interrupt_id in self._closed:
            raise InterruptClosed(f"the interrupt {quoted(interrupt_id)} is closed", interrupt_id=interrupt_id)
        near = NearNames()(interrupt_id, self.interrupts)
        raise NotFound(f"this execution has no interrupt {quoted(interrupt_id)}{near}")

    def answer(self, interrupt_id: str, value: bytes, by: str | None = None) -> None:
        """Answer an open interrupt with a JSON value that fits."""
        attempt = self.interrupts[interrupt_id].attempt
        if self._recorder is not None:
            self._recorder.begin()
        if self._report is not None:
            event = types.InputReceived(interrupt_id=interrupt_id, value=Raw(value), by=UNSET if by is None else by)
            self._report.node(attempt, event)
        if self._recorder is not None:
            self._recorder.answered(interrupt_id, value, by)
        self._performer.forget_interrupt(interrupt_id)
        self.answered(interrupt_id, value, by)
        self._execution.control.input_came()

    def answered(self, interrupt_id: str, value: bytes, by: str | None = None) -> None:
        """An activation has its answer: it is ready again, behind all that is. Also for restoring."""
        attempt = self._close(interrupt_id)
        assert attempt.asked is not None
        attempt.asked.answers.append(value)
        attempt.asked.by = by
        self._ready(attempt)

    def expire(self, interrupt_id: str) -> None:
        """Nobody answered in time: the activation is ready again, only to fail. Ignored where somebody did."""
        if interrupt_id not in self.interrupts:
            return
        attempt = self._close(interrupt_id)
        assert attempt.asked is not None
        node = quoted(attempt.node.id)
        attempt.asked.failure = InterruptExpired(f"nobody answered what node {node} asked in time")
        self._ready(attempt)
        self._execution.control.input_came()

    def drop(self, attempt: Attempt) -> None:
        """An activation is over: nobody can answer it any more."""
        if attempt.asked is not None and attempt.asked.waits_for is not None:
            self._performer.forget_interrupt(attempt.asked.waits_for)
            self._close(attempt.asked.waits_for)

    def _close(self, interrupt_id: str) -> Attempt:
        attempt = self.interrupts.pop(interrupt_id).attempt
        self._closed.add(interrupt_id)
        assert attempt.asked is not None
        attempt.asked.waits_for = None
        return attempt

    def _ready(self, attempt: Attempt) -> None:
        attempt.phase = Phase.READY
        self._execution.ready.append(attempt)

    # --- waiting --------------------------------------------------------------------------------------------------

    def is_all(self) -> bool:
        """Whether all that is active waits for answers."""
        execution = self._execution
        if not self.interrupts or execution.ready or execution.running:
            return False
        return all(_is_still(attempt) for scope in below(execution.root) for attempt in scope.attempts)

    @property
    def asking(self) -> list[str]:
        """The nodes that wait and go on waiting without an answer."""
        return [each.attempt.node.id for each in self.interrupts.values() if each.expires_us is None]

    def still(self) -> list[Attempt]:
        """Return the open attempts that count as suspended: all that is active below them is."""
        if not self.interrupts:
            return []
        counted: dict[Attempt, bool] = {}
        for interrupt in self.interrupts.values():
            for opener in _openers(interrupt.attempt):
                if opener not in counted:
                    counted[opener] = self._counts(opener)
        return [opener for opener, counts in counted.items() if counts]

    def _counts(self, opener: Attempt) -> bool:
        assert opener.opened is not None
        scopes = [inside for scope in opener.opened.scopes for inside in below(scope)]
        inner = set(scopes)
        if any(attempt.scope in inner for attempt in self._execution.ready):
            return False
        return all(_is_still(attempt) for scope in scopes for attempt in scope.attempts)


def _told(interrupt: Interrupt) -> types.NodeSuspended:
    expires_us = interrupt.expires_us
    return types.NodeSuspended(
        attempt=interrupt.attempt.number,
        duration_ms=max(0.0, interrupt.attempt.duration_ms),
        interrupt_id=interrupt.id,
        payload=Raw(interrupt.payload),
        schema=UNSET if interrupt.schema is None else Raw(interrupt.schema),
        expires_at=UNSET if expires_us is None else format_timestamp(expires_us * 1000),
    )


def _is_still(attempt: Attempt) -> bool:
    return attempt.phase is Phase.SUSPENDED or attempt.phase is Phase.OPEN


def _openers(attempt: Attempt) -> Iterator[Attempt]:
    opener = attempt.scope.opener
    while opener is not None:
        yield opener
        opener = opener.scope.opener
