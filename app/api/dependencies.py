"""What routes need, from the application's state. For HTTP and WebSocket alike."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from app.services.checkpoints import CheckpointService
from app.services.executions import ExecutionService
from app.services.foreign import ForeignService
from app.services.forks import ForkService
from app.services.governance import Governance
from app.services.graphs import GraphService
from app.services.readiness import Readiness
from app.services.retention import Retention
from app.services.streams import StreamService


@dataclass(frozen=True, slots=True)
class Bounds:
    """What bounds requests and streams, from the settings."""

    max_body_bytes: int
    max_definition_bytes: int
    max_json_depth: int
    heartbeat_s: float
    max_subscriptions: int
    max_bad_messages: int


async def get_executions(connection: HTTPConnection) -> ExecutionService:
    """Return the service of executions."""
    service: ExecutionService = connection.state.executions
    return service


async def get_checkpoints(connection: HTTPConnection) -> CheckpointService:
    """Return the service of checkpoints."""
    service: CheckpointService = connection.state.checkpoints
    return service


async def get_forks(connection: HTTPConnection) -> ForkService:
    """Return the service of forks."""
    service: ForkService = connection.state.forks
    return service


async def get_foreign(connection: HTTPConnection) -> ForeignService:
    """Return the service of executions that run elsewhere."""
    service: ForeignService = connection.state.foreign
    return service


async def get_graphs(connection: HTTPConnection) -> GraphService:
    """Return the service of graphs."""
    service: GraphService = connection.state.graphs
    return service


async def get_streams(connection: HTTPConnection) -> StreamService:
    """Return the service of streams."""
    service: StreamService = connection.state.streams
    return service


async def get_readiness(connection: HTTPConnection) -> Readiness:
    """Return what knows whether the service serves."""
    readiness: Readiness = connection.state.readiness
    return readiness


async def get_retention(connection: HTTPConnection) -> Retention:
    """Return what deletes executions."""
    retention: Retention = connection.state.retention
    return retention


async def get_governance(connection: HTTPConnection) -> Governance | None:
    """Return what governs how fast nodes begin; None where nothing does."""
    governance: Governance | None = connection.state.governance
    return governance


async def get_bounds(connection: HTTPConnection) -> Bounds:
    """Return what bounds requests and streams."""
    bounds: Bounds = connection.state.bounds
    return bounds


Executions = Annotated[ExecutionService, Depends(get_executions)]
Checkpoints = Annotated[CheckpointService, Depends(get_checkpoints)]
Forks = Annotated[ForkService, Depends(get_forks)]
Foreign = Annotated[ForeignService, Depends(get_foreign)]
Graphs = Annotated[GraphService, Depends(get_graphs)]
Streams = Annotated[StreamService, Depends(get_streams)]
Deletions = Annotated[Retention, Depends(get_retention)]
Ready = Annotated[Readiness, Depends(get_readiness)]
Governing = Annotated[Governance | None, Depends(get_governance)]
BoundsDep = Annotated[Bounds, Depends(get_bounds)]
