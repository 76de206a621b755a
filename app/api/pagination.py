"""Lists in pages: ``{items, next}``, with the next page's address in ``Link`` (RFC 8288)."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query
from starlette.requests import Request

MAX_LIMIT = 1_000
MAX_CURSOR_LENGTH = 512

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many items a page has at most.", examples=[2])]
After = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH, description="`next` of the page before; opaque.")]


def link_header(request: Request, following: str | None) -> dict[str, str]:
    """Return the header that leads to the next page; none on the last one."""
    if following is None:
        return {}
    others = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
    query = urlencode([*others, ("after", following)])
    return {"Link": f'<{request.url.path}?{query}>; rel="next"'}


def split(values: list[str] | None) -> list[str]:
    """Return the members of a query list, repeated or separated by commas."""
    return [part.strip() for value in values or () for part in value.split(",") if part.strip()]
