"""Names for the ids and the JSON values that everything shares."""

from collections.abc import Mapping, Sequence
from typing import Literal, NewType, TypeAlias

GraphId = NewType("GraphId", str)
NodeId = NewType("NodeId", str)
EdgeId = NewType("EdgeId", str)
ExecutionId = NewType("ExecutionId", str)
ActivationId = NewType("ActivationId", str)

JsonScalar: TypeAlias = str | int | float | bool | None
Json: TypeAlias = "JsonScalar | list[Json] | dict[str, Json]"
ReadOnlyJson: TypeAlias = "JsonScalar | Sequence[ReadOnlyJson] | Mapping[str, ReadOnlyJson]"

Status: TypeAlias = Literal["queued", "running", "pausing", "paused", "stopping", "completed", "failed", "cancelled"]
TerminalStatus: TypeAlias = Literal["completed", "failed", "cancelled"]
Engine: TypeAlias = Literal["graphwire", "foreign"]
Priority: TypeAlias = Literal["low", "normal", "high", "critical"]
Overlap: TypeAlias = Literal["allow", "queue", "reject", "replace"]
Outcome: TypeAlias = Literal["success", "partial"]
Durability: TypeAlias = Literal["async", "sync"]
Detail: TypeAlias = Literal["standard", "full"]
Ordering: TypeAlias = Literal["as_finished", "deterministic"]
ConflictPolicy: TypeAlias = Literal["last_write_wins", "first_write_wins", "merge", "fail"]
ErrorPolicy: TypeAlias = Literal["fail", "continue", "skip"]

TERMINAL_STATUSES: frozenset[str] = frozenset({"completed", "failed", "cancelled"})
