"""What a node is given beside its parameters."""

import hashlib
import random
from collections.abc import Awaitable, Mapping
from functools import cached_property
from typing import Any, Protocol

from msgspec import UNSET, Raw

from graphwire.engine.attempt import Attempt
from graphwire.events import types
from graphwire.events.types import EventData
from graphwire.types import ExecutionId, GraphId
from graphwire.values import freeze

EMPTY = Raw(b"{}")


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
            StateNotSerializable: The message or the metadata is not JSON.
        """
        body = freeze(message)
        extra = Raw(freeze(metadata)) if metadata else EMPTY
        return self._emit(self._attempt, types.NodeMessage(scope=scope, message=Raw(body), metadata=extra), len(body))

    def token(self, text: str, stream_id: str = "default", *, final: bool = False) -> Awaitable[None]:
        """Publish a piece of streamed text as ``llm_chunk``; ``final`` ends the stream of that name."""
        event = types.LlmChunk(stream_id=stream_id, text=_text(text), is_final=final)
        return self._emit(self._attempt, event, len(text))

    def progress(self, completed: float, total: float | None = None, message: str | None = None) -> Awaitable[None]:
        """Publish ``node_progress``: how much is done, of how much."""
        freeze([completed, total])  # refuses what JSON has no number for
        event = types.NodeProgress(
            completed=completed,
            total=UNSET if total is None else total,
            message=UNSET if message is None else _text(message),
        )
        return self._emit(self._attempt, event, 64)

    def log(self, message: str, level: str = "info", **fields: Any) -> Awaitable[None]:
        """Publish a line of the node's log; ``level`` is ``debug``, ``info``, ``warning`` or ``error``."""
        extra = Raw(freeze(fields)) if fields else EMPTY
        return self._emit(self._attempt, types.NodeLog(level=level, message=_text(message), fields=extra), len(message))


def _text(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    freeze(text)
    return text
