"""The requests about graphs."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from graphwire.client.answers import Difference, GraphSummary, GraphVersion, Page, Validation, VersionSummary
from graphwire.client.call import JSON, Call, once, path, query, read_nothing, read_text, reads

Definition: TypeAlias = Mapping[str, Any] | str | bytes
"""A definition as a value, or as YAML or JSON text, whose problems are then told with lines."""


def list_graphs(
    *, search: str | None = None, limit: int | None = None, after: str | None = None
) -> Call[Page[GraphSummary]]:
    """Return a page of graphs in the order of their ids.

    Args:
        search: A part of the id, the name or the description, in any case.
        limit: Items of a page, at most 1,000.
        after: The ``next`` of the page before.
    """
    asked = query(q=search, limit=limit, after=after)
    return Call("GET", "/graphs", reads(Page[GraphSummary]), asked, is_repeatable=True)


def get_graph(graph_id: str, *, version: int | None = None) -> Call[GraphVersion]:
    """Return a version of a graph; without a number the newest.

    Raises:
        ProblemError: ``not_found``.
    """
    place = path("graphs", graph_id) if version is None else path("graphs", graph_id, "versions", version)
    return Call("GET", place, reads(GraphVersion), is_repeatable=True)


def create_graph(definition: Definition, *, idempotency_key: str | None = None) -> Call[GraphVersion]:
    """Store a new graph.

    Raises:
        ProblemError: ``graph_invalid`` and others with every problem as ``errors``; ``graph_exists``.
    """
    content, headers = _written(definition)
    headers = {**once(idempotency_key), **headers}
    return Call("POST", "/graphs", reads(GraphVersion), headers=headers, content=content, is_repeatable=True)


def put_graph(
    graph_id: str, definition: Definition, *, if_version: int | Literal["any"] | None = None
) -> Call[GraphVersion]:
    """Store a definition as the newest version of a graph.

    Args:
        graph_id: The graph; it may be a new one.
        definition: What it becomes.
        if_version: The version that the change was made for, or ``any``. None where the graph may not exist yet.

    Raises:
        ProblemError: ``revision_conflict`` where it was changed meanwhile, and ``precondition_required`` where it
            exists and no version is given, both with ``facts["current"]``; ``graph_invalid`` and others.
    """
    content, headers = _written(definition)
    if if_version is not None:
        headers["If-Match"] = "*" if if_version == "any" else f'"{if_version}"'
    return Call("PUT", path("graphs", graph_id), reads(GraphVersion), headers=headers, content=content)


def validate_graph(definition: Definition) -> Call[Validation]:
    """Say what is wrong or odd about a definition, and store nothing."""
    content, headers = _written(definition)
    validation = reads(Validation)
    return Call("POST", "/graphs/validate", validation, headers=headers, content=content, is_repeatable=True)


def delete_graph(graph_id: str, *, if_version: int | None = None, force: bool = False) -> Call[None]:
    """Delete a graph with its versions.

    Args:
        graph_id: The graph.
        if_version: Only where this is its newest version.
        force: Cancel its executions first, and wait for their end.

    Raises:
        ProblemError: ``not_found``, ``graph_in_use``, ``revision_conflict``.
    """
    headers = {} if if_version is None else {"If-Match": f'"{if_version}"'}
    asked = query(force=force or None)
    return Call("DELETE", path("graphs", graph_id), read_nothing, asked, headers, wait_s=20.0 if force else 0.0)


def list_versions(graph_id: str, *, limit: int | None = None, after: str | None = None) -> Call[Page[VersionSummary]]:
    """Return a page of a graph's versions, newest first."""
    asked = query(limit=limit, after=after)
    return Call("GET", path("graphs", graph_id, "versions"), reads(Page[VersionSummary]), asked, is_repeatable=True)


def diff_graph(graph_id: str, before: int, after: int) -> Call[Difference]:
    """Return what version ``after`` has that ``before`` has not, and the reverse."""
    place = path("graphs", graph_id, "versions", before, "diff", after)
    return Call("GET", place, reads(Difference), is_repeatable=True)


def draw_graph(graph_id: str, *, format: Literal["mermaid", "dot"] = "mermaid") -> Call[str]:
    """Return a diagram of the newest version as text."""
    place = path("graphs", graph_id, "diagram")
    return Call("GET", place, read_text, query(format=format), {"Accept": "text/plain"}, is_repeatable=True)


def _written(definition: Definition) -> tuple[bytes, dict[str, str]]:
    if isinstance(definition, str | bytes):
        content = definition.encode() if isinstance(definition, str) else definition
        return content, {"Content-Type": "application/yaml", "Accept": JSON}
    return msgspec.json.encode(definition), {"Content-Type": JSON, "Accept": JSON}
