"""The client for code without an event loop.

It is the client for asyncio, whose loop runs in a thread of its own from the first request to ``close``. That thread is
worth it: a blocking read of an HTTP answer cannot be given up and gone on with, so without it there were no batches in
time; the WebSocket library keeps a thread for its blocking connections anyway, and with the loop pings are answered
while the caller is busy. Nothing of the caller's runs in it: callbacks are called in the thread that waits. It works
where a loop runs already, as in a notebook.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar, Unpack

from graphwire.client import execution_calls, foreign_calls, graph_calls, service_calls
from graphwire.client.answers import Page, Result
from graphwire.client.asynchronous import REQUEST_ATTEMPTS, RETRY, TIMEOUT_S, TIMING, AsyncClient
from graphwire.client.backoff import Retry
from graphwire.client.blocking_stream import BlockingEventStream, BlockingServiceStream
from graphwire.client.call import Call
from graphwire.client.choice import Wanted
from graphwire.client.execution_calls import StartOptions
from graphwire.client.http import MAX_ANSWER_BYTES
from graphwire.client.loop_thread import LoopThread, Mailbox
from graphwire.client.performing import Performer
from graphwire.client.status import StreamStatus
from graphwire.client.stream import OnNotice, OnStatus
from graphwire.client.timing import Timing

P = ParamSpec("P")
T = TypeVar("T")


class BlockingResource:
    """Requests about one kind of thing."""

    def __init__(self, performer: Performer, thread: LoopThread) -> None:
        self._performer = performer
        self._thread = thread


def blocking(make: Callable[P, Call[T]]) -> Callable[Concatenate[BlockingResource, P], T]:
    """Return a method that carries out the request that ``make`` returns."""

    @wraps(make)
    def method(self: BlockingResource, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._thread.call(self._performer.perform(make(*args, **kwargs)))

    return method


def iterated(make: Callable[P, Call[Page[T]]]) -> Callable[Concatenate[BlockingResource, P], Iterator[T]]:
    """Return a method that gives the items of all pages of a list, one after the other."""

    @wraps(make)
    def method(self: BlockingResource, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        call = make(*args, **kwargs)
        while True:
            page = self._thread.call(self._performer.perform(call))
            yield from page.items
            if page.next is None:
                return
            call = replace(call, query={**call.query, "after": page.next})

    return method


class Graphs(BlockingResource):
    """Definitions and their versions."""

    get = blocking(graph_calls.get_graph)
    create = blocking(graph_calls.create_graph)
    put = blocking(graph_calls.put_graph)
    validate = blocking(graph_calls.validate_graph)
    delete = blocking(graph_calls.delete_graph)
    versions = blocking(graph_calls.list_versions)
    diff = blocking(graph_calls.diff_graph)
    diagram = blocking(graph_calls.draw_graph)
    list = blocking(graph_calls.list_graphs)
    iterate = iterated(graph_calls.list_graphs)
    iterate_versions = iterated(graph_calls.list_versions)


class Executions(BlockingResource):
    """Executions: started, looked at, cancelled, deleted, read back."""

    start = blocking(execution_calls.start_execution)
    declare = blocking(foreign_calls.declare_execution)
    report = blocking(foreign_calls.report_events)
    get = blocking(execution_calls.get_execution)
    state = blocking(execution_calls.get_state)
    cancel = blocking(execution_calls.cancel_execution)
    delete = blocking(execution_calls.delete_execution)
    events = blocking(execution_calls.get_events)
    event = blocking(execution_calls.get_event)
    list = blocking(execution_calls.list_executions)
    iterate = iterated(execution_calls.list_executions)

    def wait(self, execution_id: str) -> Result:
        """Wait for an execution's end and return it with its state. A failed one is returned, not raised."""
        return self._thread.call(self._performer.wait(execution_id))


class Service(BlockingResource):
    """The service itself."""

    node_types = blocking(service_calls.list_node_types)
    live = blocking(service_calls.check_live)
    ready = blocking(service_calls.check_ready)


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
        """Close the connections and end the thread. Streams are closed by their own blocks."""
        self._thread.call(self._client.close())
        self._thread.close()

    def run(self, graph_id: str, **options: Unpack[StartOptions]) -> Result:
        """See ``AsyncClient.run``. Ctrl-C ends the wait and not the execution."""
        return self._thread.call(self._client.run(graph_id, **options))

    def stream(
        self,
        graph_id: str,
        *,
        types: Sequence[str] = (),
        nodes: Sequence[str] = (),
        transport: Wanted | None = None,
        retry: Retry | None = None,
        on_status: OnStatus | None = None,
        on_notice: OnNotice | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[StartOptions],
    ) -> BlockingEventStream:
        """See ``AsyncClient.stream``."""
        mailbox = Mailbox()
        stream = self._client.stream(
            graph_id,
            types=types,
            nodes=nodes,
            transport=transport,
            retry=retry,
            on_status=_posted(on_status, mailbox),
            on_notice=on_notice,
            idempotency_key=idempotency_key,
            **options,
        )
        return BlockingEventStream(stream, self._thread, mailbox)

    def follow(
        self,
        execution_id: str,
        *,
        after: int = 0,
        types: Sequence[str] = (),
        nodes: Sequence[str] = (),
        transport: Wanted | None = None,
        retry: Retry | None = None,
        on_status: OnStatus | None = None,
        on_notice: OnNotice | None = None,
    ) -> BlockingEventStream:
        """See ``AsyncClient.follow``."""
        mailbox = Mailbox()
        stream = self._client.follow(
            execution_id,
            after=after,
            types=types,
            nodes=nodes,
            transport=transport,
            retry=retry,
            on_status=_posted(on_status, mailbox),
            on_notice=on_notice,
        )
        return BlockingEventStream(stream, self._thread, mailbox)

    def events(
        self,
        *,
        topics: Sequence[str] = (),
        after: int = 0,
        transport: Wanted | None = None,
        retry: Retry | None = None,
        on_status: OnStatus | None = None,
        on_notice: OnNotice | None = None,
    ) -> BlockingServiceStream:
        """See ``AsyncClient.events``."""
        mailbox = Mailbox()
        stream = self._client.events(
            topics=topics,
            after=after,
            transport=transport,
            retry=retry,
            on_status=_posted(on_status, mailbox),
            on_notice=on_notice,
        )
        return BlockingServiceStream(stream, self._thread, mailbox)


def _posted(on_status: OnStatus | None, mailbox: Mailbox) -> OnStatus | None:
    if on_status is None:
        return None

    def post(status: StreamStatus) -> None:
        mailbox.post(lambda: on_status(status))

    return post
