"""Conditional requests (RFC 9110 §13): the entity tag of a graph is its version, as a strong tag like ``"3"``.

In YAML it is ``"3-yaml"``: what differs by a byte has another strong tag (RFC 9110 §8.8.3.3). A change may name either.
"""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header
from pydantic import WithJsonSchema
from starlette.requests import Request

from app.api.errors import BadRequest
from app.api.negotiation import JSON, YAML, accepted, choose

ANY: Container[int] = range(1, 2**63)
# No two parts can take the same blanks, and what was taken is not given back: the time is linear in the text.
_ITEM = re.compile(r'[ \t]*+(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*+)"[ \t]*+)?(?:,|$)')
_TAGS_SCHEMA = WithJsonSchema({"type": "string", "pattern": r'^([*]|(W/)?"[0-9]{1,9}(-yaml)?")$'})
_TAG = re.compile(r"([1-9][0-9]{0,9})(-yaml)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Tag:
    version: int
    media_type: str
    is_weak: bool


def etag(version: int) -> str:
    """Return the entity tag of a version in JSON."""
    return f'"{version}"'


def in_yaml(tag: str) -> str:
    """Return the entity tag of what a tag names in JSON, in YAML."""
    return f'{tag[:-1]}-yaml"'


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
    """Return the versions that the caller has in the format that it accepts.

    What cannot be read names none, and the answer is a whole one.
    """
    try:
        tags = _tags(request.headers.getlist("if-none-match"))
    except BadRequest:
        return frozenset()
    if tags is None:
        return ANY
    media_type = choose(accepted(request), (JSON, YAML))
    return frozenset(tag.version for tag in tags if tag.media_type == media_type)


Expected = Annotated[Container[int] | None, Depends(read_expected)]
Known = Annotated[Container[int], Depends(read_known)]


def _strong(lines: Sequence[str]) -> Container[int]:
    tags = _tags(lines)
    return ANY if tags is None else frozenset(tag.version for tag in tags if not tag.is_weak)


def _tags(lines: Sequence[str]) -> list[_Tag] | None:
    """Return those of a list of tags that a version can have; None for ``*``."""
    text = ",".join(lines)
    if text.strip() == "*":
        return None
    found: list[_Tag] = []
    is_list = not lines
    position = 0
    while position < len(text):
        item = _ITEM.match(text, position)
        if item is None:
            raise BadRequest('an entity tag is a text in double quotes, like "3"; a list has commas')
        if item[2] is not None:
            is_list = True  # also where no version has that tag, so that it matches nothing
            if tag := _TAG.fullmatch(item[2]):
                found.append(_Tag(int(tag[1]), JSON if tag[2] is None else YAML, item[1] is not None))
        position = item.end()
    if not is_list:
        raise BadRequest('If-Match names an entity tag, like "3", or is *')
    return found
