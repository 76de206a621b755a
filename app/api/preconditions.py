"""Conditional requests (RFC 9110 §13): the entity tag of a graph is its version, as a strong tag like ``"3"``."""

import re
from collections.abc import Container, Sequence
from typing import Annotated

from fastapi import Depends, Header
from pydantic import WithJsonSchema
from starlette.requests import Request

from app.api.errors import BadRequest

ANY: Container[int] = range(1, 2**63)
# No two parts can take the same blanks, and what was taken is not given back: the time is linear in the text.
_ITEM = re.compile(r'[ \t]*+(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*+)"[ \t]*+)?(?:,|$)')
_TAGS_SCHEMA = WithJsonSchema({"type": "string", "pattern": r'^([*]|"[0-9]{1,9}"|W/"[0-9]{1,9}")$'})
_VERSION = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)


def etag(version: int) -> str:
    """Return the entity tag of a version."""
    return f'"{version}"'


async def read_expected(
    request: Request,
    if_match: Annotated[
        str | None,
        _TAGS_SCHEMA,
        Header(
            alias="If-Match",
            description='The `ETag` of the version that is to be changed, like `"3"`; `*` is any.',
            openapi_examples={"any": {"summary": "Whatever version there is", "value": "*"}},
        ),
    ] = None,
    if_none_match: Annotated[
        str | None,
        WithJsonSchema({"type": "string", "enum": ["*"]}),
        Header(alias="If-None-Match", description="`*`: only where there is no such graph."),
    ] = None,
) -> Container[int] | None:
    """Return the versions that a change may be made of, 0 for none; None where the request does not say.

    Raises:
        BadRequest: A header is not as it must be.
    """
    matching, missing = request.headers.getlist("if-match"), request.headers.getlist("if-none-match")
    expected = _strong(matching) if matching else None
    if not missing:
        return expected
    if ",".join(missing).strip() != "*":
        raise BadRequest("If-None-Match takes only * here: change nothing where there is such a graph")
    return frozenset({0}) if expected is None else frozenset()


async def read_known(
    request: Request,
    if_none_match: Annotated[
        str | None,
        Header(
            alias="If-None-Match",
            description="The `ETag` of what the caller has: the answer is 304 where it is the same.",
            examples=['"1"'],
        ),
    ] = None,
) -> Container[int]:
    """Return the versions that the caller has. What cannot be read names none, and the answer is a whole one."""
    try:
        tags = _tags(request.headers.getlist("if-none-match"))
    except BadRequest:
        return frozenset()
    return ANY if tags is None else frozenset(version for _, version in tags)


Expected = Annotated[Container[int] | None, Depends(read_expected)]
Known = Annotated[Container[int], Depends(read_known)]


def _strong(lines: Sequence[str]) -> Container[int]:
    tags = _tags(lines)
    return ANY if tags is None else frozenset(version for is_weak, version in tags if not is_weak)


def _tags(lines: Sequence[str]) -> list[tuple[bool, int]] | None:
    """Return the versions that a list of tags names, each with whether it is weak; None for ``*``."""
    text = ",".join(lines)
    if text.strip() == "*":
        return None
    found: list[tuple[bool, str]] = []
    position = 0
    while position < len(text):
        item = _ITEM.match(text, position)
        if item is None:
            raise BadRequest('an entity tag is a text in double quotes, like "3"; a list has commas')
        if item[2] is not None:
            found.append((item[1] is not None, item[2]))
        position = item.end()
    if lines and not found:
        raise BadRequest('If-Match names an entity tag, like "3", or is *')
    # Tags that no version has are tags all the same; they match nothing.
    return [(is_weak, int(tag)) for is_weak, tag in found if _VERSION.fullmatch(tag)]
