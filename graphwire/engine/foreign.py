"""An execution that an engine elsewhere carries out, and reports here: its log and its place in the store."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from graphwire.clock import Clock, utc
from graphwire.engine.outbox import ExecutionOutbox
from graphwire.engine.ports import Claim, ExecutionEnd, ExecutionRecord, ExecutionStore
from graphwire.engine.reported import Admitted, Course, Draft, Report, closed
from graphwire.errors import CommandNotAllowed, InvalidInput
from graphwire.events import types
from graphwire.events.encoding import decode_line
from graphwire.events.hub import Hub
from graphwire.events.log import EventLog
from graphwire.events.ring import Published
from graphwire.events.timestamps import parse_timestamp
from graphwire.events.types import EventData, Failure
from graphwire.types import Outcome, Status, TerminalStatus

DELTA: Final = b"null"
"""Of an end, so that it is stored in one piece: nothing is restored from it."""
_FOLLOWED: Final = frozenset({"node_started", "node_completed", "node_failed", "node_cancelled"})


class Taken(Struct, frozen=True):
    """What became of an event: its number, and whether it was there before."""

    id: str
    seq: int
    is_known: bool


class Command(Struct, frozen=True):
    """A command that its producer has still to follow; ``arguments`` are JSON."""

    seq: int
    name: str
    arguments: bytes


class ForeignExecution:
    """An execution without a runner. Nothing waits in it: what must wait for the store looks at ``hub``.

    An event is visible when it is stored, so that no crash takes back what anybody saw, and no number is lost.

    Attributes:
        hub: Where its readers subscribe.
    """

    def __init__(self, record: ExecutionRecord, *, hub: Hub, store: ExecutionStore, clock: Clock) -> None:
        """Make one that is new; ``accept`` stores it.

        Args:
            hub: A new one, of ``durability`` ``sync``.
        """
        self.id = record.id
        self.graph_id = record.graph_id
        self.graph_version = record.graph_version
        self.started_at = record.started_at
        self.hub = hub
        self._record = record
        self._clock = clock
        self._times = _Times(clock)
        self._outbox = ExecutionOutbox(record.id, hub, store, record)
        self._log = EventLog(record.id, record.graph_id, self._times, hub, correlation_id=record.correlation_id)
        self._course = Course(record.id, self._times.now_ns, self._times.now_ns)
        self._unstored: dict[str, int] = {}
        self._command: Command | None = None
        self._end: TerminalStatus | None = None

    @classmethod
    def restored(cls, record: ExecutionRecord, *, hub: Hub, store: ExecutionStore, clock: Clock) -> "ForeignExecution":
        """Make one that was stored: its events follow by ``replay``, then ``resume``."""
        execution = cls(record, hub=hub, store=store, clock=clock)
        execution._outbox = ExecutionOutbox(record.id, hub, store)
        began_ns = round(record.started_at.timestamp() * 1_000_000) * 1000
        execution._course = Course(record.id, began_ns, began_ns)
        return execution

    # --- life -----------------------------------------------------------------------------------------------------

    def accept(self, claim: Claim | None, refused: Callable[[str], None]) -> int:
        """Hand the start to the store; returns the number of the event by which it is stored.

        Args:
            refused: Called with the reason if it cannot be stored, or if nothing more of it can be.
        """
        self._outbox.when_refused(refused)
        if claim is not None:
            self._outbox.claim(self._log.next_seq, claim)
        return self._publish(types.ExecutionStarted(entry=[], seed=0, options=Raw(self._record.options)))

    def replay(self, page: Sequence[Published]) -> None:
        """Take up stored events, in order."""
        for event in page:
            if event.type == "command_accepted":
                told = decode_line(event.line).data
                if isinstance(told, types.CommandAccepted):
                    self._commanded(event.seq, bytes(told.arguments))
            elif event.type in _FOLLOWED:
                self._course.replay(decode_line(event.line))

    def resume(self, last: Published, refused: Callable[[str], None]) -> None:
        """Go on behind the last stored event, where the hub stands."""
        self._outbox.when_refused(refused)
        record = self._record
        self._course.now_ns = self._times.go_on_after(last.line)
        self._log = EventLog(
            record.id,
            record.graph_id,
            self._times,
            self.hub,
            correlation_id=record.correlation_id,
            last_line=last.line,
            events_before=last.seq,
        )

    # --- looked at from outside: all as of the visible mark --------------------------------------------------------

    @property
    def status(self) -> Status:
        """The status as it may be told."""
        if self._end is not None and self.is_ended:
            return self._end
        return "stopping" if self.commands else "running"

    @property
    def is_over(self) -> bool:
        """Whether the terminal event was published; it may still have to be stored."""
        return self._end is not None

    @property
    def is_ended(self) -> bool:
        """Whether the end is stored."""
        return self.hub.closed

    @property
    def commands(self) -> Sequence[Command]:
        """What its producer has still to follow."""
        command = self._command
        return () if command is None or command.seq > self.hub.visible or self.is_over else (command,)

    @property
    def steps(self) -> int:
        """The activations that were reported as begun."""
        return self._course.steps

    @property
    def duration_ms(self) -> float:
        """How long ago it was declared."""
        return max(0, self._clock.wall_ns() - self._course.began_ns) // 1000 / 1000

    # --- what is reported -----------------------------------------------------------------------------------------

    def unstored(self, producer_id: str) -> int | None:
        """Return the number of an event that was taken and is still to be stored, by its producer's name."""
        return self._unstored.get(producer_id)

    def take(self, reports: Sequence[Report]) -> list[Taken]:
        """Take events that are not known yet, all or none of them. They are stored when the last one's number is.

        Raises:
            CommandNotAllowed: It has ended.
            InvalidInput: Some are wrong; with every problem.
        """
        if self._end is not None and reports:
            detail = f"nothing can be added: the execution is {self._end}"
            raise CommandNotAllowed(detail, status=self._end, allowed=[])
        draft = Draft(self._course, self._clock.wall_ns())
        for report in reports:
            draft.add(report)
        if draft.problems:
            first = draft.problems[0]
            raise InvalidInput(f"{first.pointer}: {first.detail}", draft.problems)
        draft.take_over()
        taken = []
        for event in draft.events:
            seq = self._append(event)
            if event.id is not None:
                taken.append(Taken(event.id, seq, is_known=False))
        if taken:
            self.hub.when_stored(self.hub.published, lambda: self._forget(taken))
            self._outbox.submit()
        return taken

    def cancel(self, reason: str | None, claim: Claim | None = None) -> int:
        """Tell the producer to end it; returns the number of the ``command_accepted`` event. Safe to repeat.

        Raises:
            CommandNotAllowed: It has ended.
        """
        if self._end is not None:
            raise CommandNotAllowed(f"cannot cancel: the execution is {self._end}", status=self._end, allowed=[])
        if claim is not None:
            self._outbox.claim(self._log.next_seq, claim)
        arguments = msgspec.json.encode({"reason": reason})
        self._times.turn_to(self._clock.wall_ns())
        seq = self._publish(types.CommandAccepted(command="cancel", arguments=Raw(arguments)))
        self._commanded(seq, arguments)
        self._course.now_ns = self._times.now_ns
        return seq

    def give_up(self, error: Failure) -> int:
        """End it, since its producer does not: as cancelled where it was to be cancelled, else with this error.

        It must not have ended. Returns the number of the sentinel.
        """
        now_ns = self._times.turn_to(self._clock.wall_ns())
        first = self._log.next_seq
        for attempt in self._course.open.values():
            self._append(closed(attempt, now_ns, "its producer is gone"))
        steps, duration_ms = self._course.steps, self.duration_ms
        data: EventData
        if self._course.is_cancelled:
            reason = self._course.cancel_reason
            data = types.ExecutionCancelled(reason=reason, duration_ms=duration_ms, steps=steps)
        else:
            data = types.ExecutionFailed(error=error, duration_ms=duration_ms, steps=steps)
        self._append(Admitted(None, data, now_ns), first_of_end=first)
        self._outbox.submit()
        return self.hub.published

    def _forget(self, taken: Sequence[Taken]) -> None:
        for each in taken:
            self._unstored.pop(each.id, None)

    def _commanded(self, seq: int, arguments: bytes) -> None:
        self._command = Command(seq, "cancel", arguments)
        self._course.is_cancelled = True
        self._course.cancel_reason = msgspec.json.decode(arguments).get("reason")

    def _append(self, event: Admitted, *, first_of_end: int | None = None) -> int:
        if event.id is not None:
            self._outbox.report(self._log.next_seq, event.id)
            self._unstored[event.id] = self._log.next_seq
        self._times.turn_to(event.at_ns)
        seq = self._log.append(
            event.data,
            node_id=event.node_id,
            activation=event.activation,
            pass_number=event.pass_number,
            path=event.path,
        )
        match event.data:
            case types.ExecutionCompleted() as end:
                self._ended("completed", end, first_of_end or seq, outcome=end.outcome, state=bytes(end.state))
            case types.ExecutionFailed() as end:
                self._ended("failed", end, first_of_end or seq, error=msgspec.json.encode(end.error))
            case types.ExecutionCancelled() as end:
                self._ended("cancelled", end, first_of_end or seq, reason=end.reason)
        return seq

    def _ended(
        self,
        status: TerminalStatus,
        terminal: types.ExecutionCompleted | types.ExecutionFailed | types.ExecutionCancelled,
        first_seq: int,
        *,
        outcome: Outcome | None = None,
        state: bytes = b"{}",
        error: bytes | None = None,
        reason: str | None = None,
    ) -> None:
        self._end = status
        sentinel = types.StreamEnd(status=status, total_events=self._log.count + 1, duration_ms=terminal.duration_ms)
        last_seq = self._log.append(sentinel)
        self._outbox.commit(first_seq, last_seq, DELTA)
        self._outbox.finish(
            ExecutionEnd(
                status=status,
                outcome=outcome,
                ended_at=utc(self._times.now_ns),
                duration_ms=terminal.duration_ms,
                steps=terminal.steps,
                last_seq=last_seq,
                state=state,
                error=error,
                errors=_errors(state),
                reason=reason,
            )
        )

    def _publish(self, data: EventData) -> int:
        seq = self._log.append(data)
        self._outbox.submit()
        return seq


class _Times:
    """The clock of a log whose events happened elsewhere: it shows when the next one happened."""

    def __init__(self, clock: Clock) -> None:
        self.now_ns = clock.wall_ns()
        self._clock = clock

    def wall_ns(self) -> int:
        return self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns

    def turn_to(self, at_ns: int) -> int:
        """Go forward to this time; never back."""
        self.now_ns = max(self.now_ns, at_ns)
        return self.now_ns

    def go_on_after(self, last_line: bytes) -> int:
        """Start at the time of the last event."""
        self.now_ns = parse_timestamp(decode_line(last_line).ts)
        return self.now_ns


class _Errors(Struct):
    errors: list[Raw] = []


def _errors(state: bytes) -> bytes:
    """Return the reserved key ``errors`` of a state, where it is what it should be."""
    try:
        return msgspec.json.encode(msgspec.json.decode(state, type=_Errors).errors)
    except msgspec.ValidationError:
        return b"[]"
