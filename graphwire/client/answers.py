"""What the service answers, as typed values. Members that this version does not know are passed over."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct, field

from graphwire.errors import Problem
from graphwire.events.types import Failure, ForkedFrom

Item = TypeVar("Item")


class Page(Struct, Generic[Item], frozen=True):
    """A page of a list; ``next`` is the ``after`` of the next one, None on the last."""

    items: list[Item]
    next: str | None = None


class GraphVersion(Struct, frozen=True, kw_only=True):
    """A version of a graph. ``problems`` says why it cannot run, or why a newer file of its folder could not."""

    id: str
    version: int
    definition: dict[str, Any]
    warnings: list[Problem] = []
    problems: list[Problem] = []


class GraphSummary(Struct, frozen=True, kw_only=True):
    """A graph in a list, as its newest version. ``valid`` is None where nobody has looked yet."""

    id: str
    version: int
    name: str | None = None
    description: str | None = None
    source: str = "api"
    read_only: bool = False
    valid: bool | None = None
    created_at: datetime
    updated_at: datetime


class VersionSummary(Struct, frozen=True, kw_only=True):
    """A version in a list. ``digest`` is SHA-256 of the canonical definition."""

    version: int
    name: str | None = None
    description: str | None = None
    digest: str
    created_at: datetime


class Validation(Struct, frozen=True, kw_only=True):
    """What is wrong or odd about a definition; of a flood only some is listed and the rest counted."""

    valid: bool
    problems: list[Problem] = []
    warnings: list[Problem] = []
    problems_left_out: int = 0
    warnings_left_out: int = 0
    definition: dict[str, Any] | None = None


class ItemChange(Struct, frozen=True):
    """A node or an edge that both versions have; each change has a ``pointer``, and ``before`` and ``after``."""

    id: str
    changes: list[dict[str, Any]]


class ItemsDifference(Struct, frozen=True):
    """How nodes or edges differ."""

    added: list[dict[str, Any]]
    removed: list[dict[str, Any]]
    changed: list[ItemChange]
    reordered: bool = False


class Difference(Struct, frozen=True, kw_only=True):
    """How two versions of a graph differ. ``settings`` are the places outside of nodes and edges."""

    id: str
    before: int = field(name="from")
    after: int = field(name="to")
    nodes: ItemsDifference
    edges: ItemsDifference
    settings: list[dict[str, Any]]


class NodeType(Struct, frozen=True, kw_only=True):
    """A node type that a definition may name; ``config`` is a JSON Schema."""

    name: str
    title: str = ""
    description: str = ""
    takes_input: bool = False
    uses_code: bool = False
    has_effects: bool = False
    config: dict[str, Any] = {}


class NodeTypes(Struct, frozen=True):
    """The node types that there are."""

    items: list[NodeType]


class Started(Struct, frozen=True, kw_only=True):
    """An execution was started, or declared, and is promised an end."""

    id: str
    graph_id: str
    graph_version: int | None = None
    status: str


class Progress(Struct, frozen=True, kw_only=True):
    """How far an execution is; ``running`` names nodes."""

    percent: float
    completed: int
    total: int
    running: list[str] = []
    eta_s: float | None = None


class ExecutionSummary(Struct, frozen=True, kw_only=True):
    """An execution in a list. ``duration_ms`` is so far, while it runs."""

    id: str
    graph_id: str
    graph_version: int | None = None
    status: str
    outcome: str | None = None
    started_at: datetime
    ended_at: datetime | None = None
    duration_ms: float
    steps: int = 0
    last_seq: int = 0
    forked_from: ForkedFrom | None = None


class Interrupt(Struct, frozen=True, kw_only=True):
    """What a node waits to be told. ``schema`` is that of the answer; None where any JSON value will do."""

    interrupt_id: str
    node: str
    activation: str
    payload: Any = None
    schema: dict[str, Any] | bool | None = None
    expires_at: datetime | None = None


class Breakpoint(Struct, frozen=True, omit_defaults=True):
    """Where an execution pauses by itself.

    Attributes:
        node: Its id; of one inside a body, too.
        when: Before it runs, or after it was committed.
        condition: An expression over the state; None: always.
        hits: It pauses from so many hits on; None: from the first.
    """

    node: str
    when: Literal["before", "after"] = "before"
    condition: str | None = None
    hits: int | None = None


class BreakpointSet(Breakpoint, frozen=True, kw_only=True):
    """A breakpoint of an execution; ``counted`` is how often it was hit."""

    counted: int = 0


class Execution(ExecutionSummary, frozen=True, kw_only=True):
    """All about an execution but its events and its state."""

    error: Failure | None = None
    errors: list[Failure] = []
    reason: str | None = None
    progress: Progress | None = None
    interrupts: list[Interrupt] = []
    breakpoints: list[BreakpointSet] = []


class Result(Execution, frozen=True, kw_only=True):
    """An execution that has ended, with its state."""

    state: dict[str, Any] = {}


class Conflict(Struct, frozen=True):
    """Branches hold different values under this key; absent ones are None."""

    key: str
    nodes: list[str]
    values: list[Any]
    policy: str


class State(Struct, frozen=True):
    """The merged state of an execution as of event ``seq``."""

    seq: int
    state: dict[str, Any]
    conflicts: list[Conflict] = []


class Applied(Struct, frozen=True):
    """A command was accepted: its ``command_accepted`` event has this number."""

    applied_seq: int


class Effect(Struct, frozen=True, kw_only=True):
    """An activation that runs at once, and whose node has effects: it may have had them before."""

    node: str
    activation: str
    path: list[dict[str, Any]] = []


class Forked(Started, frozen=True, kw_only=True):
    """An execution was started from the past of another one."""

    forked_from: ForkedFrom
    effects: list[Effect] = []


class Checkpoint(Struct, frozen=True, kw_only=True):
    """A place in the past of an execution at which its state changed and is stored.

    Attributes:
        seq: The number of its last event: what ``at`` of a state or a fork takes.
        keys: What was written or removed.
        size: The bytes that are stored of it.
        valid: Whether it is what was written.
    """

    seq: int
    ts: datetime
    type: str
    node: str | None = None
    activation: str | None = None
    path: list[dict[str, Any]] | None = None
    keys: list[str] = []
    size: int = 0
    valid: bool = True


class ManyItem(Struct, frozen=True, kw_only=True):
    """What became of one of many executions: its ``problem`` is as ``ProblemError`` has it."""

    id: str
    applied_seq: int | None = None
    execution: Started | None = None
    problem: dict[str, Any] | None = None


class Many(Struct, frozen=True):
    """What became of each; ``more`` says that there are further ones for which the conditions hold."""

    items: list[ManyItem]
    more: bool = False


class Taken(Struct, frozen=True):
    """What became of a reported event; ``duplicate``: one with this id was there already."""

    id: str
    seq: int
    duplicate: bool = False


class Command(Struct, frozen=True, kw_only=True):
    """A command that the producer of an execution has still to follow."""

    seq: int
    command: str
    arguments: dict[str, Any] = {}


class Reported(Struct, frozen=True, kw_only=True):
    """The reported events are stored; what the execution is now, and what it was told to do."""

    events: list[Taken]
    last_seq: int
    status: str
    commands: list[Command] = []


class Live(Struct, frozen=True):
    """The process answers."""

    status: str


class Ready(Struct, frozen=True):
    """New executions are taken. So many files of the graph folders have problems."""

    status: str
    troubled_files: int = 0
