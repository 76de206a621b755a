"""LlamaIndex's workflow server with the graphs that are measured.

Run as ``python -m tests.benchmarks.peers.workflow_server [<database>]``; it prints its address.
"""

import socket
import sys
from typing import Any

import uvicorn
from llama_agents.server import MemoryWorkflowStore, SqliteWorkflowStore, WorkflowServer
from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent

from tests.benchmarks.graphs.measured import TEXT
from tests.benchmarks.peers.llama_index_workflows import chain

EVENTS = 1_000


class Said(Event):
    """What is emitted."""

    number: int
    text: str


class Chatty(Workflow):
    """As many events as fast as it can."""

    @step
    async def talk(self, ctx: Context, event: StartEvent) -> StopEvent:
        """Emit."""
        for number in range(EVENTS):
            ctx.write_event_to_stream(Said(number=number, text=TEXT))
        return StopEvent()


def main() -> None:
    """Serve until the process is ended."""
    store = SqliteWorkflowStore(sys.argv[1]) if len(sys.argv) > 1 else MemoryWorkflowStore()
    server: Any = WorkflowServer(workflow_store=store)
    server.add_workflow("chain", chain(20))
    server.add_workflow("chatty", Chatty(timeout=60))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        config = uvicorn.Config(server.app, loop="uvloop", log_level="error", access_log=False)
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
