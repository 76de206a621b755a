"""Starting an execution as the body of a request says."""

from dataclasses import dataclass

from starlette.requests import Request

from app.api.bodies import located, read_model, read_model_and_text
from app.api.dependencies import Bounds
from app.api.schemas.ag_ui import RunAgentInput
from app.api.schemas.start import StartRequest
from app.services.executions import ExecutionService
from app.services.idempotency import Turn
from app.services.starts import Wishes
from app.storage.repositories.idempotency import MadeEvent
from app.transports.dialects.names import DialectName
from graphwire.engine.runner import Runner
from graphwire.errors import InvalidInput, StateInvalid
from graphwire.graphs.documents import Document
from graphwire.types import GraphId


@dataclass(frozen=True, slots=True)
class Asked:
    """What a body asks for.

    Attributes:
        text: Where its parts are told from; None where they have other places there.
    """

    body: StartRequest
    wishes: Wishes
    text: Document | None


async def read_start(request: Request, bounds: Bounds, dialect: DialectName = "native") -> Asked:
    """Read the body of a start. Raises as ``bodies.read_model``."""
    max_bytes, max_depth = bounds.max_body_bytes, bounds.max_json_depth
    text: Document | None = None
    if dialect == "ag-ui":
        body = (await read_model(request, RunAgentInput, max_bytes=max_bytes, max_depth=max_depth)).start()
    else:
        body, text = await read_model_and_text(request, StartRequest, max_bytes=max_bytes, max_depth=max_depth)
    return Asked(body, body.wishes(), text if text is not None and text.data else None)


async def start(request: Request, executions: ExecutionService, graph_id: str, asked: Asked, turn: Turn) -> Runner:
    """Start what is asked for, and say so in ``turn``. What is wrong with it is told with its place in the body.

    Raises:
        As ``ExecutionService.start``.
    """
    try:
        runner = await executions.start(GraphId(graph_id), asked.wishes, turn.claim)
    except InvalidInput as error:
        # Others are about the graph, and their pointers lead into its definition.
        if type(error) in (InvalidInput, StateInvalid) and asked.text is not None:
            error.problems = await located(request, asked.text, error.problems)
        raise
    turn.made = MadeEvent(runner.id, 1)
    return runner
