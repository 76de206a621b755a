"""Parameters that several routes have, as readers see them. A first example is what a page fills in."""

from typing import Annotated

from fastapi import Path
from pydantic import WithJsonSchema

from app.api.schemas.examples import EXECUTION_ID

GraphName = Annotated[str, Path(description="The id of a graph; `GET /graphs` lists them.", examples=["hello"])]
TickingGraphName = Annotated[str, Path(description="The id of a graph; `GET /graphs` lists them.", examples=["ticker"])]
OwnGraphName = Annotated[
    str, Path(description="The id of a graph that was stored over HTTP, as by `POST /graphs`.", examples=["discount"])
]
ExecutionName = Annotated[
    str,
    Path(
        description="The id of an execution, from the answer to its start or `GET /executions`.",
        examples=[EXECUTION_ID],
    ),
]
AskingExecutionName = Annotated[
    str,
    Path(
        description="The id of an execution, one that waits for input: `GET /executions?waiting=true` lists them.",
        examples=[EXECUTION_ID],
    ),
]
EventNumber = Annotated[
    str,
    Path(description="The `seq` of an event.", examples=[1]),
    WithJsonSchema({"type": "integer", "minimum": 1, "examples": [1]}),
]
Version = Annotated[
    str,
    Path(description="The number of a version."),
    WithJsonSchema({"type": "integer", "minimum": 1, "examples": [1]}),
]
LaterVersion = Annotated[
    str,
    Path(description="The number of the version that it is compared with."),
    WithJsonSchema({"type": "integer", "minimum": 1, "examples": [2]}),
]
