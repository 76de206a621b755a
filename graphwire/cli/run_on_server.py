"""``graphwire run`` of a graph on a server: the view, the signals and the end of a run here."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from rich.text import Text

from graphwire.cli.lines import Lined, read_lined
from graphwire.cli.printing import printable, tell
from graphwire.cli.run import RunOptions, show_run
from graphwire.cli.run_view import RunView
from graphwire.cli.servers import connected, lost, said
from graphwire.client import AsyncClient, ClientError, EventStream, ProblemError, StreamStatus
from graphwire.engine.progress import Progress
from graphwire.events.notices import ExecutionProgress, NoticeEnvelope, StreamLagged
from graphwire.live_run import Finished


class ServerRun:
    """A run on a server. Fulfils ``Followed``."""

    def __init__(self, client: AsyncClient, view: RunView) -> None:
        self._client = client
        self._view = view
        self._progress = Progress(0.0, 0, 0)
        self.stream: EventStream | None = None

    async def look(self) -> None:
        """Ask how far it is; from then on the service tells."""
        assert self.stream is not None
        told = (await self._client.executions.get(self.stream.execution_id)).progress
        if told is not None:
            self._progress = Progress(told.percent, told.completed, told.total, told.running, told.eta_s)

    def progress(self) -> Progress:
        """See ``Followed``."""
        return self._progress

    async def pages(self) -> AsyncIterator[list[bytes]]:
        """See ``Followed``."""
        assert self.stream is not None
        async for batch in self.stream.batches(1_000, max_wait_s=0.0):
            yield [event.line for event in batch if isinstance(event, Lined)]

    async def cancel(self, reason: str | None = None) -> None:
        """See ``Followed``."""
        assert self.stream is not None
        try:
            await self._client.executions.cancel(self.stream.execution_id, reason=reason)
        except ProblemError as error:
            if error.code != "command_not_allowed":  # it has ended, perhaps a moment ago
                raise

    async def finished(self) -> Finished:
        """See ``Followed``."""
        assert self.stream is not None
        result = await self.stream.result()
        return Finished(
            status=result.status,  # type: ignore[arg-type]  # it has ended
            outcome=result.outcome,  # type: ignore[arg-type]  # a later one is shown as it is
            state=result.state,
            error=result.error,
            steps=result.steps,
            duration_ms=result.duration_ms,
        )

    def hear(self, notice: NoticeEnvelope) -> None:
        """Take a notice of the stream."""
        match notice.data:
            case ExecutionProgress() as told:
                eta_s = told.eta_s if isinstance(told.eta_s, float) else None
                self._progress = Progress(told.percent, told.completed, told.total, told.running, eta_s)
            case StreamLagged():
                self._view.note(lost(notice) or "")


def run_on_server(graph_id: str, options: RunOptions, server: str | None) -> int:
    """Run a graph on a server and return the exit status, as ``run_graph`` does.

    Raises:
        ClientError: The server refused, or cannot be reached.
        NotWritten: The result cannot be written; where that shows at once, nothing was started.
    """
    limits: dict[str, Any] = {} if options.timeout_s is None else {"timeout_s": options.timeout_s}

    begun: list[str] = []

    @contextlib.asynccontextmanager
    async def begin(view: RunView) -> AsyncIterator[ServerRun]:
        async with connected(server) as client:
            run = ServerRun(client, view)

            def hear(status: StreamStatus) -> None:
                text = said(status)
                if text is not None:
                    view.note(text)

            start = client.stream(
                graph_id,
                state=options.state,
                seed=options.seed,
                ordering=options.ordering,
                limits=limits,
                on_notice=run.hear,
                on_status=hear,
                decode=read_lined,
            )
            async with start as run.stream:
                begun.append(run.stream.execution_id)
                view.begins(run.stream.execution_id)
                await run.look()
                yield run

    try:
        return show_run(begin, graph_id, options)
    except ClientError:
        for execution in begun:
            tell(Text(f"The execution may go on: graphwire events {printable(execution)} --follow"))
        raise
