"""The client for browsers: one module, which the service hands out."""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Annotated, Final

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import Response

from app.api import errors, refusals
from app.api.negotiation import accepted, choose
from app.api.schemas.headers import described

router = APIRouter(tags=["streams"])

JAVASCRIPT: Final = "text/javascript"
_EXAMPLE: Final = """\
import { Graphwire } from "http://127.0.0.1:8000/client.js";

const service = new Graphwire();
for await (const event of service.run("hello")) console.log(event.seq, event.type);
"""


@router.get(
    "/client.js",
    summary="Get the client for browsers",
    response_class=Response,
    responses={
        200: {
            "description": "An ES module without dependencies. The example is how a page uses it.",
            "content": {JAVASCRIPT: {"schema": {"type": "string"}, "example": _EXAMPLE}},
            "headers": described("ETag of file"),
        },
        304: {"description": "It is what `If-None-Match` names.", "headers": described("ETag of file")},
        **refusals.responses(errors.NotAcceptable),
    },
)
async def get_client(
    request: Request,
    if_none_match: Annotated[
        str | None,
        Header(
            alias="If-None-Match",
            description="The `ETag` of what the caller has: the answer is 304 where it is the same.",
            examples=['"1"'],
        ),
    ] = None,
) -> Response:
    """Return an ES module that starts graphs and follows them, for browsers and for Node.js 20 or newer.

    It resumes by itself where a connection breaks, and takes the WebSocket, server-sent events or polling, whichever
    gets through. A browser asks at each use whether it has changed.
    """
    choose(accepted(request), (JAVASCRIPT,))
    content, tag = _client()
    headers = {"ETag": tag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    if if_none_match is not None and tag in (each.strip().removeprefix("W/") for each in if_none_match.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=JAVASCRIPT, headers=headers)


@cache
def _client() -> tuple[bytes, str]:
    """Return the module and its entity tag."""
    content = files("app").joinpath("api", "pages", "client.js").read_bytes()
    return content, f'"{sha256(content).hexdigest()[:16]}"'
