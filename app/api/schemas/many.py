"""Bodies and answers of what is asked of many executions at once."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType
from pydantic import BaseModel, ConfigDict, Field

from app.api.moments import read_moment, require_searchable
from app.api.schemas.answers import Accepted
from app.api.schemas.examples import EXECUTION_ID
from app.storage.repositories.executions import ExecutionQuery
from graphwire.errors import InvalidInput, Problem
from graphwire.graphs.fields import FromList, Given

_Names = Annotated[Annotated[tuple[str, ...], FromList(), Field(min_length=1, max_length=1_000)] | None, Given()]
_Unfinished = Literal["queued", "running", "pausing", "paused", "stopping"]
_NO_CONDITION: Final = "say which executions are meant: at least one condition"


class Conditions(BaseModel):
    """Which executions are meant: all conditions together, as the list of executions has them."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    graph: _Names = Field(default=None, description="Of any of these graphs.")
    forked_from: _Names = Field(default=None, description="Forks of any of these executions.")
    since: Annotated[str | None, Field(description="Started then or later; RFC 3339, with offset."), Given()] = None
    until: Annotated[str | None, Field(description="Started before; likewise."), Given()] = None
    q: Annotated[
        str | None, Field(max_length=200, description="Part of an id, of the reason or of the error."), Given()
    ] = None
    limit: int = Field(default=100, ge=1, le=1_000, description="How many at most; the oldest first.")

    def query(self, statuses: frozenset[str]) -> ExecutionQuery:
        """Return the conditions in the service's terms.

        Raises:
            InvalidInput: There is none, or one is not as it must be.
        """
        if not self.model_fields_set - {"limit", "reason"}:
            raise InvalidInput(_NO_CONDITION, [Problem("", "missing_field", _NO_CONDITION)])
        require_searchable(self.q, "/q")
        return ExecutionQuery(
            statuses=statuses,
            graph_ids=frozenset(self.graph or ()),
            since=read_moment(self.since, "/since"),
            until=read_moment(self.until, "/until"),
            text=self.q,
            sort="started_at",
            limit=self.limit,
            origins=frozenset(self.forked_from or ()),
        )


class CancelManyRequest(Conditions):
    """Which executions are cancelled, and why."""

    status: Annotated[
        Annotated[tuple[_Unfinished, ...], FromList(), Field(min_length=1)] | None,
        Field(description="With any of these statuses; default: all that have not ended."),
        Given(),
    ] = None
    reason: Annotated[str | None, Field(max_length=1_000, description="Shown in `execution_cancelled`."), Given()] = (
        None
    )


class ManyItem(Struct, omit_defaults=True):
    """What became of one execution: what the request for it alone would have been answered, or the problem."""

    id: str
    applied_seq: int | UnsetType = UNSET
    execution: Accepted | UnsetType = UNSET
    problem: Mapping[str, Any] | UnsetType = UNSET


class Many(Struct):
    """What became of each. `more` says that there are further ones, beyond `limit`."""

    items: list[ManyItem]
    more: bool


EXAMPLE: Final = {"items": [{"id": EXECUTION_ID, "applied_seq": 12}], "more": False}
CANCELS: Final[Mapping[str, Any]] = {
    "graph": {"summary": "All of a graph", "value": {"graph": ["ticker"], "reason": "no longer needed"}},
    "queued": {"summary": "The ten that have waited longest", "value": {"status": ["queued"], "limit": 10}},
}
ANSWERS: Final = (Many,)
BODIES: Final = (CancelManyRequest,)
