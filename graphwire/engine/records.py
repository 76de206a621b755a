"""What is stored beside the events, in order of happening, so that an execution can be restored: its records.

Nothing is recorded that follows from the records before it and the plan.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Raw, Struct

from graphwire.engine.attempt import Attempt, Scope
from graphwire.engine.outbox import ExecutionOutbox
from graphwire.engine.plan import Route
from graphwire.engine.reducers import Operations, Update
from graphwire.engine.state import State
from graphwire.errors import HistoryDamaged
from graphwire.events.hub import Hub
from graphwire.events.types import Failure
from graphwire.types import TerminalStatus
from graphwire.values import DELETE, Deleted, Frozen

NO_RESULT: Final = Raw(b"")
NULL: Final = Raw(b"null")


class _Record(Struct, frozen=True, omit_defaults=True, tag_field="kind"):
    """Something that happened.

    Attributes:
        seq: Number of the last event that tells of it; of the last one before it where none does.
    """

    seq: int


class Commit(_Record, frozen=True, tag="commit", omit_defaults=True):
    """An activation came to an end, by a result or by a failure that is handled or belongs to the final state.

    Attributes:
        scope: Name of the child scope's start token; "" for the graph itself.
        edges: Indexes of the edges that fired, in definition order.
        update: What was written: of a key with a built-in reducer the operation, never what it grew.
        deleted: Keys that the commit removed.
        operations: Of keys that a child scope wrote to and that have a reducer: its writes, each a list with the value,
            or without one where it removed the key.
        folded: Of keys whose reducer is code also what it made of them, so that restoring calls none.
        emptied: And which of them it made absent.
        joined: Of keys whose reducer is code what they made of them where the activation's tokens met.
        parted: And which of them they removed there.
        result: The result as JSON, inside child scopes only.
        partial: The execution goes on past an error that nothing handled.
    """

    activation: str
    edges: Sequence[int]
    scope: str = ""
    update: Mapping[str, Raw] = {}
    deleted: Sequence[str] = ()
    operations: Mapping[str, Sequence[Sequence[Raw]]] = {}
    folded: Mapping[str, Raw] = {}
    emptied: Sequence[str] = ()
    joined: Mapping[str, Raw] = {}
    parted: Sequence[str] = ()
    result: Raw = NO_RESULT
    partial: bool = False

    def update_again(self) -> dict[str, bytes | Deleted | Operations]:
        """Return the update as the state takes it."""
        update: dict[str, bytes | Deleted | Operations] = {key: bytes(value) for key, value in self.update.items()}
        update.update(dict.fromkeys(self.deleted, DELETE))
        for key, writes in self.operations.items():
            update[key] = Operations(tuple(bytes(write[0]) if write else DELETE for write in writes), DELETE)
        return update

    def folded_again(self) -> dict[str, Frozen]:
        """Return what code made of keys at the commit."""
        return {**{key: bytes(value) for key, value in self.folded.items()}, **dict.fromkeys(self.emptied, DELETE)}

    def joined_again(self) -> dict[str, Frozen]:
        """Return what code made of keys where tokens met."""
        return {**{key: bytes(value) for key, value in self.joined.items()}, **dict.fromkeys(self.parted, DELETE)}


class ScopeFailed(_Record, frozen=True, tag="scope_failed", omit_defaults=True):
    """A child scope is ending with an error.

    Attributes:
        activation: Whose failure it is; "" where none of them failed.
    """

    scope: str
    failure: Failure
    activation: str = ""


class Stopping(_Record, frozen=True, tag="stopping", omit_defaults=True):
    """The execution is told to end: by a command, a limit, or an error that nothing handled.

    Attributes:
        limit: The time limit that ends it, by name and in seconds.
    """

    status: TerminalStatus
    failure: Failure | None = None
    reason: str | None = None
    limit: tuple[str, float] | None = None


class Sleeps(_Record, frozen=True, tag="sleeps", omit_defaults=True):
    """An activation sleeps.

    Attributes:
        until_us: Until this wall time, in microseconds since the Unix epoch.
        number: The attempt that goes on, or begins, then.
        interrupted: How many attempts of the activation were lost with a process so far: they use up no retry.
        since_us: Before a retry, when the first attempt began; a wall time too.
    """

    activation: str
    until_us: int
    number: int = 1
    interrupted: int = 0
    since_us: int | None = None


class Suspended(_Record, frozen=True, tag="suspended", omit_defaults=True):
    """An activation waits for an answer from outside.

    Attributes:
        payload: What is asked, any JSON value.
        schema: JSON Schema of the answer; empty where any value will do.
    """

    activation: str
    interrupt_id: str
    number: int = 1
    expires_us: int | None = None
    payload: Raw = NULL
    schema: Raw = NO_RESULT


class Answered(_Record, frozen=True, tag="answered", omit_defaults=True):
    """An interrupt was answered, by somebody who may be known; its activation is ready again."""

    interrupt_id: str
    value: Raw
    by: str | None = None


class Edited(_Record, frozen=True, tag="edited", omit_defaults=True):
    """A person set top-level keys, whole, in every state, and removed others."""

    write_id: str
    values: Mapping[str, Raw] = {}
    deleted: Sequence[str] = ()


class Paused(_Record, frozen=True, tag="paused", omit_defaults=True):
    """Nothing more is dispatched.

    Attributes:
        active_ns: How long the execution was neither paused nor suspended so far.
        is_told: Whether nothing runs any more and ``execution_paused`` was published.
    """

    reason: str
    active_ns: int
    is_told: bool = True


class Resumed(_Record, frozen=True, tag="resumed"):
    """It goes on."""


class Breakpoints(_Record, frozen=True, tag="breakpoints"):
    """The breakpoints were replaced by these, a JSON list, hits included."""

    breakpoints: Raw


class Opened(_Record, frozen=True, tag="opened"):
    """An activation opened child scopes.

    Attributes:
        fixed: What does not follow from the plan and the state: any JSON value.
    """

    activation: str
    fixed: Raw


class Restored(_Record, frozen=True, tag="restored", omit_defaults=True):
    """Another process went on from here.

    Attributes:
        valid_to: The last event before; those between were never stored.
        active_ns: How long the execution was neither paused nor suspended so far.
        lost: How many attempts ran and were lost.
    """

    valid_to: int
    active_ns: int = 0
    lost: int = 0


class Forked(_Record, frozen=True, tag="forked", omit_defaults=True):
    """The execution goes on from the past of another one.

    What was in flight there is ready again, what slept wakes at once, what waited for an answer waits on.

    Attributes:
        records: Those of the other one from its start; they fit the version of the graph that this one goes on with.
        values: What the fork sets, whole, in every state.
        deleted: What it removes from every state.
    """

    records: Sequence[Raw]
    values: Mapping[str, Raw] = {}
    deleted: Sequence[str] = ()


Record: TypeAlias = (
    Commit
    | ScopeFailed
    | Stopping
    | Sleeps
    | Suspended
    | Answered
    | Edited
    | Paused
    | Resumed
    | Breakpoints
    | Opened
    | Restored
    | Forked
)

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[Record]] = msgspec.json.Decoder(Record)


def decode_record(text: bytes) -> Record:
    """Return a stored record.

    Raises:
        HistoryDamaged: It is none that this version knows.
    """
    try:
        return _DECODER.decode(text)
    except msgspec.DecodeError as error:
        raise HistoryDamaged(f"a stored record is none that this version reads: {error}") from error


def encode_record(record: Record) -> bytes:
    """Return a record as it is stored."""
    return _ENCODER.encode(record)


class Recorder:
    """Hands records to the outbox, each with the numbers of the events that tell of it.

    Call ``begin`` before these events are published, and the method of the record after.
    """

    def __init__(self, outbox: ExecutionOutbox, hub: Hub) -> None:
        self._outbox = outbox
        self._hub = hub
        self._first = 0

    @property
    def next_seq(self) -> int:
        """The number that the next event gets."""
        return self._hub.published + 1

    def begin(self) -> None:
        """The events of a record come next."""
        self._first = self._hub.published + 1

    def commit(
        self,
        attempt: Attempt,
        route: Route,
        update: Update | None,
        state: State,
        result: bytes,
        *,
        partial: bool = False,
    ) -> None:
        """An activation came to an end; its failure was handled, if it failed."""
        scope = attempt.scope
        seq = self._hub.published
        if not update and not attempt.folded and scope.opener is None:  # as below, in a third of the time
            record = Commit(seq, attempt.activation.id, route.fired, partial=partial)
            self._outbox.commit(self._first, seq, _ENCODER.encode(record))
            return
        written: dict[str, Raw] = {}
        deleted: list[str] = []
        folded: dict[str, Raw] = {}
        emptied: list[str] = []
        operations: dict[str, Sequence[Sequence[Raw]]] = {}
        for key, value in (update or {}).items():
            if isinstance(value, Operations):
                if key in scope.plan.reducers.keys:
                    operations[key] = [[Raw(write)] if isinstance(write, bytes) else [] for write in value.writes]
                else:
                    value = value.value
            if isinstance(value, bytes):
                written[key] = Raw(value)
            elif isinstance(value, Deleted):
                deleted.append(key)
            if scope.plan.reducers.calls_code(key):
                made = state.get(key)
                if made is None:
                    emptied.append(key)
                else:
                    folded[key] = Raw(made)
        met = attempt.folded or {}
        self._add(
            Commit(
                seq=seq,
                activation=attempt.activation.id,
                edges=route.fired,
                scope=scope.name,
                update=written,
                deleted=tuple(deleted),
                operations=operations,
                folded=folded,
                emptied=tuple(emptied),
                joined={key: Raw(value) for key, value in met.items() if isinstance(value, bytes)},
                parted=tuple(key for key, value in met.items() if isinstance(value, Deleted)),
                result=NO_RESULT if scope.opener is None else Raw(result),
                partial=partial,
            )
        )

    def scope_failed(self, scope: Scope, failure: Failure, attempt: Attempt | None = None) -> None:
        """A child scope is ending with an error, of this attempt or of none."""
        activation = "" if attempt is None else attempt.activation.id
        self._add(ScopeFailed(self._hub.published, scope.name, failure, activation))

    def stopping(
        self,
        status: TerminalStatus,
        failure: Failure | None = None,
        reason: str | None = None,
        limit: tuple[str, float] | None = None,
    ) -> None:
        """The execution is told to end."""
        self._add(Stopping(self._hub.published, status, failure, reason, limit))

    def sleeps(self, attempt: Attempt, until_us: int, number: int, since_us: int | None = None) -> None:
        """The activation sleeps until a wall time; attempt ``number`` goes on or begins then."""
        name = attempt.activation.id
        self._add(Sleeps(self._hub.published, name, until_us, number, attempt.interrupted, since_us))

    def suspended(
        self, attempt: Attempt, interrupt_id: str, expires_us: int | None, payload: bytes, schema: bytes | None
    ) -> None:
        """The activation waits for an answer, at most until a wall time."""
        shape = NO_RESULT if schema is None else Raw(schema)
        name, seq = attempt.activation.id, self._hub.published
        self._add(Suspended(seq, name, interrupt_id, attempt.number, expires_us, Raw(payload), shape))

    def answered(self, interrupt_id: str, value: bytes, by: str | None) -> None:
        """An interrupt was answered with a JSON value."""
        self._add(Answered(self._hub.published, interrupt_id, Raw(value), by))

    def edited(self, write_id: str, values: Mapping[str, Frozen]) -> None:
        """A person set or removed top-level keys."""
        self._add(
            Edited(
                self._hub.published,
                write_id,
                {key: Raw(value) for key, value in values.items() if isinstance(value, bytes)},
                tuple(key for key, value in values.items() if isinstance(value, Deleted)),
            )
        )

    def paused(self, reason: str, active_ns: int, *, is_told: bool = True) -> None:
        """The execution is paused, or is to be as soon as nothing runs; it was active so long until now."""
        self._add(Paused(self._hub.published, reason, active_ns, is_told))

    def resumed(self) -> None:
        """The execution goes on."""
        self._add(Resumed(self._hub.published))

    def breakpoints(self, breakpoints: bytes) -> None:
        """The breakpoints are replaced by these, a JSON list."""
        self._add(Breakpoints(self._hub.published, Raw(breakpoints)))

    def opened(self, attempt: Attempt, fixed: bytes) -> None:
        """An attempt opened child scopes; ``fixed`` is what does not follow from plan and state, a JSON value."""
        self._add(Opened(self._hub.published, attempt.activation.id, Raw(fixed)))

    def restored(self, valid_to: int, active_ns: int = 0, lost: int = 0) -> None:
        """This process goes on with what another one left, after event ``valid_to``, as so many attempts were lost."""
        self._add(Restored(self._hub.published, valid_to, active_ns, lost))

    def _add(self, record: Record) -> None:
        # What no event of its own tells of belongs to the last one, such as its command.
        last = self._hub.published
        self._outbox.commit(min(self._first, last), last, _ENCODER.encode(record))
