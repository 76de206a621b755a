"""Shaping answers about graphs."""

from collections.abc import Iterable, Sequence

from msgspec import UNSET, Raw

from app.api.schemas import answers
from app.services.derived import Judged
from app.services.graph_views import GraphView, ListedGraph
from app.storage.repositories.graphs import FROM_API, VersionInfo
from graphwire.errors import Problem
from graphwire.graphs import difference
from graphwire.types import GraphId

MAX_FINDINGS = 100


def graph(view: GraphView) -> answers.Graph:
    """Shape a version of a graph."""
    return answers.Graph(
        id=view.id,
        version=view.version,
        definition=Raw(view.definition),
        warnings=answers.findings(view.warnings),
        problems=answers.findings(view.problems),
    )


def listed(graph: ListedGraph) -> answers.GraphSummary:
    """Shape a graph for a list. Where a folder is stays a secret of the service."""
    info = graph.info
    return answers.GraphSummary(
        id=info.graph_id,
        version=info.version,
        name=info.name,
        description=info.description,
        source="api" if info.source == FROM_API else "folder",
        read_only=graph.is_read_only,
        valid=graph.is_valid,
        created_at=info.made_at,
        updated_at=info.updated_at,
    )


def version(info: VersionInfo) -> answers.VersionSummary:
    """Shape a version for a list."""
    return answers.VersionSummary(info.version, info.name, info.description, info.digest, info.created_at)


def validation(judged: Judged, problems: Sequence[Problem], warnings: Sequence[Problem]) -> answers.Validation:
    """Shape what can be said about a definition; ``problems`` and ``warnings`` have their places in the text."""
    problems_left = len(problems) + judged.findings.left_out - len(problems[:MAX_FINDINGS])
    warnings_left = len(warnings) - len(warnings[:MAX_FINDINGS])
    return answers.Validation(
        valid=not problems,
        problems=answers.findings(problems[:MAX_FINDINGS]),
        warnings=answers.findings(warnings[:MAX_FINDINGS]),
        problems_left_out=problems_left or UNSET,
        warnings_left_out=warnings_left or UNSET,
        definition=UNSET if judged.text is None else Raw(judged.text),
    )


def compared(graph_id: GraphId, versions: tuple[int, int], found: difference.Difference) -> answers.Difference:
    """Shape how two versions differ."""
    return answers.Difference(
        id=graph_id,
        before=versions[0],
        after=versions[1],
        nodes=_items(found.nodes),
        edges=_items(found.edges),
        settings=_changes(found.settings),
    )


def _items(found: difference.ItemsDifference) -> answers.ItemsDifference:
    return answers.ItemsDifference(
        added=list(found.added),
        removed=list(found.removed),
        changed=[answers.ItemChange(item.id, _changes(item.changes)) for item in found.changed],
        reordered=found.is_reordered,
    )


def _changes(changes: Iterable[difference.Change]) -> list[answers.Change]:
    return [
        answers.Change(
            each.pointer,
            UNSET if each.before is difference.ABSENT else each.before,
            UNSET if each.after is difference.ABSENT else each.after,
        )
        for each in changes
    ]
