"""Requests carried out, and streams opened, against one service."""

from collections.abc import Callable

from graphwire.client.answers import Result, Started
from graphwire.client.backoff import Backoff, Retry, wished_wait
from graphwire.client.call import Call, T, refusal
from graphwire.client.choice import Transport, TransportChoice, Wanted
from graphwire.client.connection import Connection
from graphwire.client.errors import ClientError, ConnectionFailed, ProblemError, UnexpectedAnswer
from graphwire.client.execution_calls import MAX_WAIT_S, get_execution, get_raw_events, get_state
from graphwire.client.following import PASSING_STATUSES, Following
from graphwire.client.http import Http
from graphwire.client.poll_connection import Pages
from graphwire.client.socket_connection import CREDIT, open_socket
from graphwire.client.sse_connection import open_sse
from graphwire.client.status import StreamStatus
from graphwire.client.target import HEARTBEAT_S, SILENCE_S, Target
from graphwire.client.timing import Timing

REFUSED_UNDONE = frozenset({429, 503})
"""So the service refuses before it does anything."""


class Performer:
    """Carries out requests. Both clients are shells around it.

    Attributes:
        retry: How streams are resumed, unless they say otherwise.
        choice: What was learned about transports.
    """

    def __init__(self, http: Http, *, retry: Retry, request_attempts: int, timing: Timing) -> None:
        self._http = http
        self.retry = retry
        self._request_retry = Retry(attempts=request_attempts - 1, first_s=0.5, most_s=5.0, longest_wished_s=30.0)
        self.timing = timing
        self.choice = TransportChoice(timing.now, http.transports)

    async def perform(self, call: Call[T], *, retry: Retry | None = None, once_begun: Retry | None = None) -> T:
        """Send a request and return its result; what failed in passing is tried again where that is safe.

        Args:
            call: The request.
            retry: How often; else as often as any request.
            once_begun: How often from when on it may have been carried out.

        Raises:
            ProblemError: The service refused.
            ConnectionFailed: It cannot be reached.
            UnexpectedAnswer: What answered is not this service.
        """
        backoff = Backoff(retry or self._request_retry, self.timing.random)
        while True:
            try:
                return await self.once(call)
            except ClientError as failure:
                if once_begun is not None and isinstance(failure, ConnectionFailed) and failure.was_open:
                    backoff, once_begun = Backoff(once_begun, self.timing.random), None
                delay_s = backoff.next(wished_wait(failure)) if may_repeat(call, failure) else None
                if delay_s is None:
                    raise
            await self.timing.sleep(delay_s)

    async def once(self, call: Call[T]) -> T:
        """Send a request once. Raises as ``perform``."""
        answer = await self._http.send(call)
        if answer.status >= 300:
            raise refusal(answer)
        return call.read(answer)

    async def result(self, execution_id: str) -> Result:
        """Return how an execution ended, with its state. As patient as a stream."""
        execution = await self.perform(get_execution(execution_id), retry=self.retry)
        state = await self.perform(get_state(execution_id), retry=self.retry)
        members = {name: getattr(execution, name) for name in execution.__struct_fields__}
        return Result(**members, state=state.state)

    async def wait(self, execution_id: str) -> Result:
        """Wait for an execution's end and return it. As patient as a stream."""
        after = 0
        while True:
            call = get_raw_events(execution_id, after=after, types=("stream_end",), wait_s=MAX_WAIT_S)
            page = await self.perform(call, retry=self.retry)
            if page.ended:
                return await self.result(execution_id)
            after = page.next

    async def run(self, call: Call[Result | Started]) -> Result:
        """Carry out ``start_and_wait``, and wait for as long as it takes. As patient as a stream, once it may run."""
        answer = await self.perform(call, once_begun=self.retry)
        return answer if isinstance(answer, Result) else await self.wait(answer.id)

    def follow(
        self, target: Target, *, after: int, wanted: Wanted, retry: Retry | None, tell: Callable[[StreamStatus], None]
    ) -> Following:
        """Return the stream of a log from a place on, not yet connected."""

        pages = Pages(self.once, target)

        async def open(transport: Transport, after: int) -> Connection:
            match transport:
                case "websocket":
                    return await self._open_socket(target, after)
                case "sse":
                    asked = target.stream_query(after)
                    return await open_sse(self._http, target.path, asked, target.read_event, silence_s=SILENCE_S)
                case "poll":
                    return await pages.open(after)

        return Following(
            open,
            after=after,
            wanted=wanted,
            choice=self.choice,
            retry=retry or self.retry,
            timing=self.timing,
            tell=tell,
        )

    async def _open_socket(self, target: Target, after: int) -> Connection:
        http = self._http
        asked = target.stream_query(after) if target.method is None else {"heartbeat": str(HEARTBEAT_S)}
        connection = await open_socket(
            http.base_url,
            target.socket_path,
            asked,
            http.headers,
            target.read_event,
            silence_s=SILENCE_S,
            ends=target.method is None,
        )
        try:
            if target.method is not None:
                await connection.subscribe(target.method, target.subscription(after))
            await connection.grant(CREDIT)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()


def may_repeat(call: Call[T], failure: ClientError) -> bool:
    """Whether a request may be sent again: it was certainly not carried out, or is carried out once all the same."""
    match failure:
        case _ if call.is_asked_once:
            return False
        case ConnectionFailed(was_open=False):
            return True
        case ProblemError(status=status) if status in REFUSED_UNDONE:
            return True
        case ConnectionFailed():
            return call.is_repeatable
        case ProblemError(status=status) | UnexpectedAnswer(status=int(status)):
            return call.is_repeatable and status in PASSING_STATUSES
        case _:
            return False
