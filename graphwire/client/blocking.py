"""The client for code without an event loop.

It is the client for asyncio, whose loop runs in a thread of its own from the first request to ``close``. That thread is
worth it: a blocking read of an HTTP answer cannot be given up and gone on with, so without it there were no batches in
time; the WebSocket library keeps a thread for its blocking connections anyway, and with the loop pings are answered
while the caller is busy. Nothing of the caller's runs in it: callbacks are called in the thread that waits. It works
where a loop runs already, as in a notebook.
"""

from collections.abc import Callable, Coroutine
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from graphwire.client.answers import Result
from graphwire.client.asynchronous import REQUEST_ATTEMPTS, RETRY, TIMEOUT_S, TIMING, AsyncClient
from graphwire.client.backoff import Retry
from graphwire.client.blocking_stream import BlockingEventStream, BlockingServiceStream
from graphwire.client.choice import Wanted
from graphwire.client.endpoints import BlockingResource
from graphwire.client.http import MAX_ANSWER_BYTES
from graphwire.client.loop_thread import LoopThread
from graphwire.client.resources import ExecutionRequests, GraphRequests, ServiceRequests
from graphwire.client.timing import Timing

P = ParamSpec("P")
T = TypeVar("T")
Stream = TypeVar("Stream")
Blocking = TypeVar("Blocking")


class Graphs(BlockingResource, GraphRequests):
    """Definitions and their versions."""


class Executions(BlockingResource, ExecutionRequests):
    """Executions: started, looked at, steered, deleted, read back."""

    def wait(self, execution_id: str) -> Result:
        """Wait for an execution's end and return it with its state. A failed one is returned, not raised."""
        return self._thread.call(self._performer.wait(execution_id))


class Service(BlockingResource, ServiceRequests):
    """The service itself."""


def called(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Client", P], T]:
    """Return a method of ``AsyncClient`` as one of ``Client``. Ctrl-C ends the wait and not the execution."""

    @wraps(method)
    def call(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._thread.call(method(self._client, *args, **kwargs))

    return call


def streamed(
    method: Callable[Concatenate[AsyncClient, P], Stream], shape: Callable[[Stream, LoopThread], Blocking]
) -> Callable[Concatenate["Client", P], Blocking]:
    """Return a method of ``AsyncClient`` that gives a stream as one of ``Client``."""

    @wraps(method)
    def call(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Blocking:
        return shape(method(self._client, *args, **kwargs), self._thread)

    return call


class Client:
    """``AsyncClient`` without ``async``. Used with ``with``, or closed with ``close``; by any threads.

    Attributes:
        graphs: Definitions and their versions.
        executions: Executions, running or ended.
        service: Node types and health.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        transport: Wanted = "auto",
        retry: Retry = RETRY,
        timeout_s: float = TIMEOUT_S,
        request_attempts: int = REQUEST_ATTEMPTS,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        timing: Timing = TIMING,
    ) -> None:
        """Make a client; see ``AsyncClient``."""
        self._client = AsyncClient(
            base_url,
            api_key,
            transport=transport,
            retry=retry,
            timeout_s=timeout_s,
            request_attempts=request_attempts,
            max_answer_bytes=max_answer_bytes,
            timing=timing,
        )
        self._thread = LoopThread()
        performer = self._client.performer
        self.graphs = Graphs(performer, self._thread)
        self.executions = Executions(performer, self._thread)
        self.service = Service(performer, self._thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread. Streams are closed by their own blocks. Safe to repeat."""
        self._thread.close(self._client.close)

    run = called(AsyncClient.run)
    stream = streamed(AsyncClient.stream, BlockingEventStream)
    follow = streamed(AsyncClient.follow, BlockingEventStream)
    events = streamed(AsyncClient.events, BlockingServiceStream)
