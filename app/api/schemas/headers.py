"""Headers of answers in the description of the API."""

from collections.abc import Mapping
from typing import Any, Final

from app.api.schemas.examples import EXECUTION_ID

_TEXT: Final = {"type": "string"}
_KNOWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "Location": {
        "description": "Where the execution is found; its events are below, at `/events`.",
        "schema": {"type": "string", "format": "uri-reference"},
        "example": f"/executions/{EXECUTION_ID}",
    },
    "Location of graph": {
        "description": "Where the graph is found.",
        "schema": {"type": "string", "format": "uri-reference"},
        "example": "/graphs/discount",
    },
    "ETag": {
        "description": "The version as a strong tag, with `-yaml` where the answer is YAML: what `If-Match` of a "
        "change and `If-None-Match` of a look take.",
        "schema": {"type": "string", "pattern": '^"[1-9][0-9]*(-yaml)?"$'},
        "example": '"1"',
    },
    "ETag of file": {
        "description": "Names the content: what `If-None-Match` of a later look takes.",
        "schema": {"type": "string", "pattern": '^"[0-9a-f]{16}"$'},
        "example": '"57e9c2a90d1f4b36"',
    },
    "Link": {
        "description": "The address of the next page (RFC 8288); absent on the last one.",
        "schema": _TEXT,
        "example": '</executions?limit=1&after=WyItc3RhcnRlZF9hdCIsMCwiMDEiXQ>; rel="next"',
    },
    "Idempotent-Replayed": {
        "description": "`true` where the answer repeats that to an earlier request with the same `Idempotency-Key`.",
        "schema": {"type": "string", "enum": ["true"]},
        "example": "true",
    },
    "Content-Encoding": {
        "description": "How a stream is compressed; absent where it is not.",
        "schema": {"type": "string", "enum": ["gzip", "zstd"]},
        "example": "gzip",
    },
    "Vary": {
        "description": "A stream is compressed as `Accept-Encoding` asks.",
        "schema": _TEXT,
        "example": "Accept-Encoding",
    },
    "Retry-After": {
        "description": "After so many seconds the same request may succeed.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 5,
    },
}


def described(*names: str) -> dict[str, Any]:
    """Return the descriptions of these headers. ``Location of graph`` is ``Location`` where a graph was stored."""
    return {name.partition(" of ")[0]: dict(_KNOWN[name]) for name in names}
