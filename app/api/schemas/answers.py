"""Bodies of answers. They are encoded as they are, so stored JSON goes out without being decoded."""

import inspect
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from starlette.responses import Response

from app.api.schemas import steering
from app.api.schemas.examples import MODELS
from app.api.schemas.headers import described as headers_described
from app.services.checkpoints import CheckpointView
from app.services.views import ExecutionView, StateView
from graphwire.engine.progress import Progress
from graphwire.errors import Problem
from graphwire.events.types import ExecutionQueued

JSON = "application/json"
_NULL = Raw(b"null")


class Links(Struct):
    """Where more about an execution is."""

    self: str
    events: str
    websocket: str


class ForkedFrom(Struct):
    """The place from which an execution goes on: as of the last commit of that one at or before `seq`."""

    execution_id: str
    seq: int


class Accepted(Struct):
    """An execution was started and will reach an end."""

    id: str
    graph_id: str
    graph_version: int
    status: str
    links: Links


class ProgressAnswer(Struct):
    """How far an execution is: completed of all nodes, and what runs now."""

    percent: float
    completed: int
    total: int
    running: list[str]
    eta_s: float | None


class Summary(Struct):
    """An execution in a list."""

    id: str
    graph_id: str
    graph_version: int
    engine: Literal["graphwire", "foreign"]
    status: str
    outcome: str | None
    started_at: datetime
    ended_at: datetime | None
    duration_ms: float
    steps: int
    last_seq: int
    forked_from: ForkedFrom | None
    links: Links


class QueueAnswer(Struct):
    """Where an execution stands that waits for its turn: how many begin before it, itself counted, and why it waits."""

    position: int
    priority: str
    reason: str


class Execution(Summary):
    """All about an execution but its events and its state."""

    error: Raw
    errors: Raw
    reason: str | None
    progress: ProgressAnswer | None
    queue: QueueAnswer | None
    interrupts: list[steering.InterruptAnswer]
    breakpoints: list[steering.BreakpointAnswer]


class Result(Execution):
    """An execution with its state."""

    state: Raw


class Executions(Struct):
    """A page of executions; `next` is null on the last one."""

    items: list[Summary]
    next: str | None


class Conflict(Struct):
    """Branches hold different values under this key; absent ones are null."""

    key: str
    nodes: list[str]
    values: list[Raw]
    policy: str


class State(Struct):
    """The merged state as of event `seq`."""

    seq: int
    state: Raw
    conflicts: list[Conflict]


class Checkpoint(Struct):
    """A place in the past of an execution at which its state changed: a commit of a node, or a person's edit.

    `seq` is what `at` takes. `keys` were written or removed, `size` is in bytes. Of one that is not `valid`, because
    somebody or something has changed what is stored, nothing else is known; no state from there on can be made again.
    """

    seq: int
    ts: str | None
    type: str | None
    node: str | None
    activation: str | None
    path: list[dict[str, Any]]
    keys: list[str]
    size: int
    valid: bool


class Checkpoints(Struct):
    """A page of an execution's checkpoints, newest first; `next` is null on the last one."""

    items: list[Checkpoint]
    next: str | None


class Applied(Struct):
    """The number of the command's `command_accepted` event."""

    applied_seq: int


class Taken(Struct):
    """What became of a reported event. `duplicate` says that an event with this id was there before."""

    id: str
    seq: int
    duplicate: bool


class Command(Struct):
    """A command that the producer has still to follow, as its `command_accepted` event has it."""

    seq: int
    command: str
    arguments: Raw


class Appended(Struct):
    """The reported events are stored, in this order; what the execution is now, and what it was told to do."""

    events: list[Taken]
    last_seq: int
    status: str
    commands: list[Command]


class Finding(Struct):
    """One thing to know about a definition, with its place; line and column where it was read from text.

    `file` is there where it was read from a file: the name of that, in its folder.
    """

    pointer: str
    code: str
    detail: str
    line: int | UnsetType = UNSET
    column: int | UnsetType = UNSET
    file: str | UnsetType = UNSET


class Graph(Struct):
    """A version of a graph.

    `problems` is empty unless it is no longer valid, or the file of its folder that should have replaced it is not.
    """

    id: str
    version: int
    definition: Raw
    warnings: list[Finding]
    problems: list[Finding]


class GraphSummary(Struct):
    """A graph in a list, as its newest version.

    `source` is `api` or `folder`. `valid` is false where the version cannot run any more, and null where nobody has
    looked yet. `created_at` is when the graph was stored first, `updated_at` when its newest version was. A long
    `description` is cut.
    """

    id: str
    version: int
    name: str | None
    description: str | None
    source: Literal["api", "folder"]
    read_only: bool
    valid: bool | None
    created_at: datetime
    updated_at: datetime


class Graphs(Struct):
    """A page of graphs; `next` is null on the last one."""

    items: list[GraphSummary]
    next: str | None


class VersionSummary(Struct):
    """A version in a list. `digest` is SHA-256 of the canonical definition. A long `description` is cut."""

    version: int
    name: str | None
    description: str | None
    digest: str
    created_at: datetime


class Versions(Struct):
    """A page of a graph's versions, newest first; `next` is null on the last one."""

    items: list[VersionSummary]
    next: str | None


class Change(Struct):
    """A place where two values differ. `before` is left out where there was nothing, `after` where there is nothing."""

    pointer: str
    before: Any | UnsetType = UNSET
    after: Any | UnsetType = UNSET


class ItemChange(Struct):
    """A node or an edge that both versions have. The pointers lead into it."""

    id: str
    changes: list[Change]


class ItemsDifference(Struct):
    """How nodes or edges differ. `reordered`: those that both versions have stand in another order."""

    added: list[dict[str, Any]]
    removed: list[dict[str, Any]]
    changed: list[ItemChange]
    reordered: bool


class Difference(Struct, rename={"before": "from", "after": "to"}):
    """How two versions of a graph differ. `settings` are the places outside of nodes and edges."""

    id: str
    before: int
    after: int
    nodes: ItemsDifference
    edges: ItemsDifference
    settings: list[Change]


class Validation(Struct):
    """What can be said about a definition: at most 100 problems and 100 warnings, then counts of the rest.

    `definition` is its canonical form; left out where it has not the shape of one.
    """

    valid: bool
    problems: list[Finding]
    warnings: list[Finding]
    problems_left_out: int | UnsetType = UNSET
    warnings_left_out: int | UnsetType = UNSET
    definition: Raw | UnsetType = UNSET


class NodeTypes(Struct):
    """The node types that a definition may name, each with the JSON Schema of its config."""

    items: list[dict[str, Any]]


class Live(Struct):
    """The process answers."""

    status: Literal["live"] = "live"


class SinkHealth(Struct):
    """How a sink fares, in events. `last_error` is in the log and in the service's own stream: it may name a path."""

    name: str
    handled: int
    failed: Annotated[int, Meta(description="Not taken at the last attempt either.")]
    lost: Annotated[int, Meta(description="It was too far behind for them.")]
    waiting: Annotated[int, Meta(description="Still to be given to it.")]
    is_on: Annotated[bool, Meta(description="Whether it is given anything.")]
    last_error_at: datetime | None


class Ready(Struct):
    """New work is taken. `troubled_files` of the graph folders have problems; the log says which."""

    troubled_files: int
    sinks: Annotated[list[SinkHealth], Meta(description="Where events go besides readers.")]
    status: Literal["ready"] = "ready"


class Governance(Struct):
    """How fast nodes begin now; all but `is_on` is null where nothing is governed."""

    is_on: bool
    rate: Annotated[float | None, Meta(description="Permits a second, as busy as the machine is.")] = None
    tokens: Annotated[float | None, Meta(description="Permits that there are.")] = None
    burst: Annotated[float | None, Meta(description="Most that gather.")] = None
    held: Annotated[int | None, Meta(description="Nodes that have leave and are not over.")] = None
    waiting: Annotated[dict[str, int] | None, Meta(description="How many wait with each priority.")] = None
    cpu_percent: Annotated[float | None, Meta(description="Load of the processors; null where it is not known.")] = None
    memory_mb: Annotated[float | None, Meta(description="Free memory in MiB; null where it is not known.")] = None
    exhausted: Annotated[int | None, Meta(description="How often a node had to wait, or waited too long.")] = None
    exhausted_at: Annotated[datetime | None, Meta(description="When that was last.")] = None


ALL: tuple[type[Struct], ...] = (
    Governance,
    Accepted, Appended, Applied, Checkpoints, Difference, Execution, Executions, Graph, Graphs, Live, NodeTypes, Ready,
    Result, State, Validation, Versions,
)  # fmt: skip


def answer(body: Struct, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    return Response(msgspec.json.encode(body), status, headers=headers, media_type=JSON)


def describe(
    model: type[Struct], status: int = 200, *, headers: Sequence[str] = (), example: Any = None
) -> dict[int | str, dict[str, Any]]:
    """Describe an answer for OpenAPI, with its headers and an example: the model's, unless another is given."""
    content = {
        "schema": {"$ref": f"#/components/schemas/{model.__name__}"},
        "example": MODELS[model.__name__] if example is None else example,
    }
    answer = {"description": inspect.getdoc(model), "content": {JSON: content}}
    return {status: {**answer, "headers": headers_described(*headers)} if headers else answer}


def schemas(*further: type[Struct]) -> dict[str, Any]:
    """Return the JSON Schemas of all answers here and of further ones, by name."""
    _, components = msgspec.json.schema_components((*ALL, *further), ref_template="#/components/schemas/{name}")
    return dict(components)


def address(execution_id: str) -> str:
    """Return where an execution is found."""
    return f"/executions/{execution_id}"


def accepted(view: ExecutionView) -> Accepted:
    """Shape the answer to a start."""
    return Accepted(view.id, view.graph_id, view.graph_version, view.status, _links(view.id))


def summary(view: ExecutionView) -> Summary:
    """Shape an execution for a list."""
    return Summary(**_common(view))


def execution(view: ExecutionView) -> Execution:
    """Shape an execution."""
    return Execution(**_common(view), **_details(view))


def result(view: ExecutionView, state: StateView) -> Result:
    """Shape an execution with its state."""
    return Result(**_common(view), **_details(view), state=Raw(state.state))


def state(view: StateView) -> State:
    """Shape a state."""
    return State(
        view.seq,
        Raw(view.state),
        [
            Conflict(each.key, list(each.nodes), [_NULL if v is None else Raw(v) for v in each.values], each.policy)
            for each in view.conflicts
        ],
    )


def checkpoint(view: CheckpointView) -> Checkpoint:
    """Shape a checkpoint."""
    event = view.event
    return Checkpoint(
        seq=view.seq,
        ts=None if event is None else event.ts,
        type=None if event is None else event.type,
        node=None if event is None else event.node_id,
        activation=None if event is None else event.activation,
        path=[] if event is None or event.path is None else list(event.path),
        keys=list(view.keys),
        size=view.size,
        valid=view.is_valid,
    )


def findings(problems: Sequence[Problem]) -> list[Finding]:
    """Shape problems or warnings."""
    return [
        Finding(
            each.pointer,
            each.code,
            each.detail,
            UNSET if each.line is None else each.line,
            UNSET if each.column is None else each.column,
            UNSET if each.file is None else each.file,
        )
        for each in problems
    ]


def _links(execution_id: str) -> Links:
    own = address(execution_id)
    return Links(self=own, events=f"{own}/events", websocket=f"{own}/ws")


def _common(view: ExecutionView) -> dict[str, Any]:
    origin = view.forked_from
    return {
        "id": view.id,
        "graph_id": view.graph_id,
        "graph_version": view.graph_version,
        "engine": view.engine,
        "status": view.status,
        "outcome": view.outcome,
        "started_at": view.started_at,
        "ended_at": view.ended_at,
        "duration_ms": view.duration_ms,
        "steps": view.steps,
        "last_seq": view.last_seq,
        "forked_from": None if origin is None else ForkedFrom(origin.execution_id, origin.seq),
        "links": _links(view.id),
    }


def _details(view: ExecutionView) -> dict[str, Any]:
    return {
        "error": _NULL if view.error is None else Raw(view.error),
        "errors": Raw(view.errors),
        "reason": view.reason,
        "progress": None if view.progress is None else _progress(view.progress),
        "queue": None if view.queue is None else _queue(view.queue),
        "interrupts": [steering.interrupt(each) for each in view.interrupts],
        "breakpoints": [steering.breakpoint_of(each) for each in view.breakpoints],
    }


def _queue(queued: ExecutionQueued) -> QueueAnswer:
    return QueueAnswer(queued.position, queued.priority, queued.reason)


def _progress(progress: Progress) -> ProgressAnswer:
    return ProgressAnswer(progress.percent, progress.completed, progress.total, list(progress.running), progress.eta_s)
