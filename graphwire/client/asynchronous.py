"""The client for asyncio."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self, TypeAlias, Unpack

import httpx

from graphwire.client.answers import Result
from graphwire.client.backoff import Retry
from graphwire.client.choice import Wanted
from graphwire.client.endpoints import AsyncResource
from graphwire.client.execution_calls import StartOptions, start_and_wait, start_execution
from graphwire.client.following import Following
from graphwire.client.http import MAX_ANSWER_BYTES, Http
from graphwire.client.performing import Performer
from graphwire.client.resources import ExecutionRequests, GraphRequests, ServiceRequests
from graphwire.client.stream import Begin, EventStream, OnNotice, OnStatus, ServiceStream
from graphwire.client.target import Target, execution, service
from graphwire.client.timing import Timing
from graphwire.events.encoding import Envelope, decode_line

Decode: TypeAlias = Callable[[bytes], Envelope]

TIMEOUT_S: Final = 30.0
REQUEST_ATTEMPTS: Final = 3
RUN_WAIT_S: Final = 60.0
RETRY: Final = Retry()
TIMING: Final = Timing()


class AsyncGraphs(AsyncResource, GraphRequests):
    """Definitions and their versions."""


class AsyncExecutions(AsyncResource, ExecutionRequests):
    """Executions: started, looked at, steered, deleted, read back."""

    async def wait(self, execution_id: str) -> Result:
        """Wait for an execution's end and return it with its state. A failed one is returned, not raised."""
        return await self._performer.wait(execution_id)


class AsyncService(AsyncResource, ServiceRequests):
    """The service itself."""


class AsyncClient:
    """A client of one Graphwire service. Used with ``async with``, or closed with ``close``.

    Attributes:
        graphs: Definitions and their versions.
        executions: Executions, running or ended.
        service: Node types and health.
        performer: What carries out requests; for other shells around it.

    Every request raises:
        ProblemError: The service refused; ``code`` says why.
        ConnectionFailed: It cannot be reached.
        UnexpectedAnswer: What answers at the address is not this service.
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
        http: httpx.AsyncClient | None = None,
        timing: Timing = TIMING,
    ) -> None:
        """Make a client; nothing is sent.

        Args:
            base_url: Where the service is; a path in it comes before every other.
            api_key: The service's key, if it asks for one.
            transport: How streams come: ``auto`` takes WebSocket, else server-sent events, else long polls.
            retry: How streams are resumed.
            timeout_s: How long an answer may take, beyond what it takes on purpose.
            request_attempts: How often a request that may be repeated is sent at most.
            max_answer_bytes: An answer that is larger, decompressed, is refused; streams have limits of their own.
            http: An HTTP client of the caller's, with proxies and certificates of its own; it is not closed. WebSockets
                do not go through it, so ``auto`` leaves them out then.
            timing: For tests.

        Raises:
            ValueError: The address is none.
        """
        self._http = Http(base_url, api_key, timeout_s=timeout_s, max_answer_bytes=max_answer_bytes, http=http)
        self.performer = Performer(self._http, retry=retry, request_attempts=request_attempts, timing=timing)
        self._transport: Wanted = transport
        self.graphs = AsyncGraphs(self.performer)
        self.executions = AsyncExecutions(self.performer)
        self.service = AsyncService(self.performer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. Streams are closed by their own blocks."""
        await self.performer.close()

    async def run(self, graph_id: str, **options: Unpack[StartOptions]) -> Result:
        """Start an execution, wait for its end and return it with its state. A failed one is returned, not raised.

        Cancelling the wait does not cancel the execution, unless it started with ``on_disconnect="cancel"``.
        """
        return await self.performer.run(start_and_wait(graph_id, timeout_s=RUN_WAIT_S, **options))

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
        decode: Decode = decode_line,
        idempotency_key: str | None = None,
        **options: Unpack[StartOptions],
    ) -> EventStream:
        """Start an execution when the block is entered, and follow it from its first event.

        Args:
            graph_id: The graph.
            types: See ``follow``.
            nodes: See ``follow``.
            transport: See ``follow``.
            retry: See ``follow``.
            on_status: See ``follow``.
            on_notice: See ``follow``.
            decode: See ``follow``.
            idempotency_key: Names the start; else it has a new one, and is safe from lost answers.
            options: How it starts.
        """
        call = start_execution(graph_id, idempotency_key=idempotency_key, **options)

        async def begin(tell: OnStatus) -> tuple[str, Following]:
            started = await self.performer.perform(call)
            target = execution(started.id, types=types, nodes=nodes, decode=decode)
            return started.id, self._follow(target, 0, transport, retry, tell)

        return self._events(begin, on_status, on_notice)

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
        decode: Decode = decode_line,
    ) -> EventStream:
        """Follow an execution, running or ended, from any place on to its end.

        Args:
            execution_id: The execution.
            after: The ``seq`` of the last event that is not wanted, such as the ``cursor`` of an earlier stream.
            types: Have the service send events of these types only, and what ends the execution.
            nodes: Events of these nodes only, and those of no node.
            transport: Another one than the client's.
            retry: Another way of resuming than the client's.
            on_status: Called whenever the status changes.
            on_notice: Called with notices, such as ``execution_progress``, where they stand among the events.
            decode: Makes an event of its line, for those who want the line itself; raises ``msgspec.DecodeError``.
        """

        async def begin(tell: OnStatus) -> tuple[str, Following]:
            target = execution(execution_id, types=types, nodes=nodes, decode=decode)
            return execution_id, self._follow(target, after, transport, retry, tell)

        return self._events(begin, on_status, on_notice)

    def events(
        self,
        *,
        topics: Sequence[str] = (),
        after: int = 0,
        transport: Wanted | None = None,
        retry: Retry | None = None,
        on_status: OnStatus | None = None,
        on_notice: OnNotice | None = None,
    ) -> ServiceStream:
        """Follow what happens in the service, from any place on. The stream has no end.

        Args:
            topics: Which topics, such as ``execution.*``; without any, all.
            after: See ``follow``.
            transport: See ``follow``.
            retry: See ``follow``.
            on_status: See ``follow``.
            on_notice: See ``follow``.
        """

        async def begin(tell: OnStatus) -> tuple[str, Following]:
            return "", self._follow(service(topics=topics), after, transport, retry, tell)

        return ServiceStream(begin, now=self.performer.timing.now, on_status=on_status, on_notice=on_notice)

    def _events(self, begin: Begin, on_status: OnStatus | None, on_notice: OnNotice | None) -> EventStream:
        now = self.performer.timing.now
        return EventStream(begin, self.performer.result, now=now, on_status=on_status, on_notice=on_notice)

    def _follow(
        self, target: Target, after: int, transport: Wanted | None, retry: Retry | None, tell: OnStatus
    ) -> Following:
        wanted = transport or self._transport
        return self.performer.follow(target, after=after, wanted=wanted, retry=retry, tell=tell)
