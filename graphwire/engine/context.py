"""What a node is given beside its parameters."""

import hashlib
import random
from collections.abc import Awaitable, Mapping
from functools import cached_property
from typing import Any, Protocol

from msgspec import UNSET, Raw

from graphwire.engine.attempt import Attempt
from graphwire.engine.suspending import ask
from graphwire.errors import StateNotSerializable, quoted
from graphwire.events import types
from graphwire.events.types import EventData
from graphwire.types import ExecutionId, GraphId
from graphwire.values import freeze

EMPTY = Raw(b"{}")
LEVELS = ("debug", "info", "warning", "error")


class Emitter(Protocol):
    """Hands over what a node emits."""

    def __call__(self, attempt: Attempt, event: EventData, size: int) -> Awaitable[None]: ...


class Context:
    """One attempt, seen by its node.

    In a coroutine ``emit``, ``token``, ``progress`` and ``log`` hand over at the call and return an awaitable that
    waits while too much is unstored; one that is not awaited then is dropped and counted (``events_dropped``). In a
    worker thread they return when there is room. What is emitted after the end of the attempt is discarded.

    Attributes:
        attempt: 1 for the first try of this activation.
        deadline: When the attempt times out, on the clock of ``time.monotonic()``; None without a limit.
    """

    def __init__(
        self,
        attempt: Attempt,
        emitter: Emitter,
        *,
        execution_id: ExecutionId,
        graph_id: GraphId,
        seed: int,
        deadline: float | None,
    ) -> None:
        self._attempt = attempt
        self._emit = emitter
        self._seed = seed
        self.execution_id = execution_id
        self.graph_id = graph_id
        self.node_id = attempt.node.id
        self.activation = attempt.activation.id
        self.attempt = attempt.number
        self.deadline = deadline
        self._asked = 0

    @cached_property
    def state(self) -> Mapping[str, Any]:
        """The state, read-only; each value is decoded when it is first read, as the node's own copy."""
        return self._attempt.state.view()

    @property
    def cancelled(self) -> bool:
        """Whether the attempt is to end: long work in a thread asks now and then and returns."""
        return self._attempt.reason is not None

    @property
    def idempotency_key(self) -> str:
        """The same for every try of this activation, also after a crash: ``<execution id>:<activation>``."""
        return f"{self.execution_id}:{self.activation}"

    @cached_property
    def random(self) -> random.Random:
        """Random numbers that depend on the execution's seed and the activation alone."""
        name = f"{self._seed}:{self.activation}".encode()
        return random.Random(int.from_bytes(hashlib.blake2b(name, digest_size=16).digest()))

    def emit(self, message: Any, scope: str = "message", **metadata: Any) -> Awaitable[None]:
        """Publish a ``node_message``; ``message`` is any JSON value.

        Raises:
            StateNotSerializable: The message or the metadata is not JSON, or the scope is no text.
        """
        body = freeze(message)
        extra = Raw(freeze(metadata)) if metadata else EMPTY
        name = _name("scope", scope)
        size = len(body) + len(name) + len(extra)
        return self._emit(self._attempt, types.NodeMessage(scope=name, message=Raw(body), metadata=extra), size)

    def token(self, text: str, stream_id: str = "default", *, final: bool = False) -> Awaitable[None]:
        """Publish a piece of streamed text as ``llm_chunk``; ``final`` ends the stream of that name.

        Raises:
            StateNotSerializable: The name is no text, or one of the two has a lone surrogate.
        """
        shown, size = _text(text)
        name = _name("stream_id", stream_id)
        event = types.LlmChunk(stream_id=name, text=shown, is_final=bool(final))
        return self._emit(self._attempt, event, size + len(name))

    def progress(self, completed: float, total: float | None = None, message: str | None = None) -> Awaitable[None]:
        """Publish ``node_progress``: how much is done, of how much.

        Raises:
            StateNotSerializable: What is no number that JSON has a form for, or a message with a lone surrogate.
        """
        shown, size = (UNSET, 0) if message is None else _text(message)
        event = types.NodeProgress(
            completed=_number("completed", completed),
            total=UNSET if total is None else _number("total", total),
            message=shown,
        )
        return self._emit(self._attempt, event, 64 + size)

    def interrupt(
        self, payload: Any, *, schema: Mapping[str, Any] | None = None, timeout_s: float | None = None
    ) -> Any:
        """Ask something from outside and return the answer, a JSON value.

        The run of the node ends here, and its activation waits: it holds no task and no slot, and survives a restart.
        When the answer comes, the node runs again from its top with the same key, and its earlier questions return
        their answers, in order. So what it does before it asks is done again: ask first.

        Args:
            payload: What is asked: any JSON value.
            schema: JSON Schema that the answer has to fit.
            timeout_s: How long an answer is waited for; then the attempt fails with ``interrupt_expired``.

        Raises:
            StateNotSerializable: The payload or the schema is not JSON.
            ValueError: The schema is no JSON Schema, or the time-out is no positive number.
        """
        self._asked += 1
        return ask(self._attempt, self._asked, payload, schema, timeout_s)

    def log(self, message: str, level: str = "info", **fields: Any) -> Awaitable[None]:
        """Publish a line of the node's log; ``level`` is ``debug``, ``info``, ``warning`` or ``error``.

        Raises:
            StateNotSerializable: The fields are not JSON, the level is no text, or the message has a lone surrogate.
            ValueError: There is no such level.
        """
        name = _name("level", level)
        if name not in LEVELS:
            raise ValueError(f"there is no level {quoted(name)}; there are {', '.join(LEVELS)}")
        extra = Raw(freeze(fields)) if fields else EMPTY
        shown, size = _text(message)
        event = types.NodeLog(level=name, message=shown, fields=extra)
        return self._emit(self._attempt, event, size + len(extra))


def _text(value: object) -> tuple[str, int]:
    """Return what is shown of a value, and how many bytes it takes."""
    if type(value) is str and value.isascii():
        return value, len(value) + 2
    text = str.__str__(value) if isinstance(value, str) else str(value)
    return text, len(freeze(text))


def _name(what: str, value: object) -> str:
    if type(value) is str and value.isascii():
        return value
    if not isinstance(value, str):
        raise _refused(what, "text", value)
    name = str.__str__(value)  # of a class of text, which nothing encodes, the text
    freeze(name)
    return name


def _number(what: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(what, "a number", value)
    number = int.__int__(value) if isinstance(value, int) else float.__float__(value)
    freeze(number)
    return number


def _refused(what: str, needed: str, value: object) -> StateNotSerializable:
    reason = f"is of type {quoted(type(value).__qualname__)}; it must be {needed}"
    return StateNotSerializable(f"{what} {reason}", path=f"/{what}", reason=reason)
