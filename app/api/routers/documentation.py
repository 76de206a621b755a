"""The API's own documentation: a page that works without a network, and the schema of events."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.api import errors, refusals
from app.api.negotiation import JSON, accepted, choose
from app.api.socket_description import describe_sockets
from app.transports.dialects.schemas import streams_schema
from graphwire.errors import NotFound

router = APIRouter(tags=["service"])

JSON_SCHEMA: Final = "application/schema+json"
# Nothing is loaded from, or sent to, another host. Swagger UI sets styles of its own.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_OF_SWAGGER: Final = "fastapi_offline.static"
_OF_OURS: Final = "app.api.pages"
_ASSETS: Final[Mapping[str, tuple[str, str]]] = {
    "swagger-ui-bundle.js": (_OF_SWAGGER, "text/javascript"),
    "swagger-ui.css": (_OF_SWAGGER, "text/css"),
    "favicon.png": (_OF_SWAGGER, "image/png"),
    "start.js": (_OF_OURS, "text/javascript"),
    "websocket.js": (_OF_OURS, "text/javascript"),
}


@router.get("/docs", include_in_schema=False)
async def show_documentation() -> Response:
    """Show the API with Swagger UI, whose files come from here."""
    return _page("docs.html")


@router.get("/docs/websocket", include_in_schema=False)
async def show_sockets() -> Response:
    """Explain the WebSockets, and let them be tried."""
    return _page("websocket.html")


@router.get(
    "/asyncapi.json",
    summary="Get the description of the WebSockets",
    response_class=Response,
    responses={
        200: {
            "description": "An AsyncAPI document (3.0).",
            "content": {
                JSON: {
                    "schema": {"type": "object", "required": ["asyncapi", "info", "channels", "operations"]},
                    "example": {
                        "asyncapi": "3.0.0",
                        "info": {"title": "Graphwire: the WebSocket", "version": "0.1.0"},
                        "defaultContentType": JSON,
                        "channels": {"everything": {"address": "/ws"}},
                        "operations": {},
                        "components": {"messages": {}, "schemas": {}},
                        "x-close-codes": {"1012": "The service stops; come back."},
                    },
                }
            },
        },
        **refusals.responses(errors.NotAcceptable),
    },
)
async def get_sockets(request: Request) -> Response:
    """Return the AsyncAPI document of what can be asked, and what comes, over a WebSocket.

    `/docs/websocket` shows it, and lets each method be tried.
    """
    choose(accepted(request), (JSON,))
    return Response(_sockets(request.app.version), media_type=JSON)


@router.get("/docs/{name}", include_in_schema=False)
async def get_asset(name: str) -> Response:
    """Return a file of the documentation page."""
    if name not in _ASSETS:
        raise NotFound("there is nothing at this address")
    package, media_type = _ASSETS[name]
    headers = {"Cache-Control": "max-age=86400", "X-Content-Type-Options": "nosniff"}
    return Response(_asset(package, name), media_type=media_type, headers=headers)


@router.get(
    "/schemas/events",
    tags=["streams"],
    summary="Get the schema of events",
    response_class=Response,
    responses={
        200: {
            "description": "A JSON Schema (2020-12) that every event and every notice fits. Those of dialects are in "
            "`$defs`.",
            "content": {
                JSON_SCHEMA: {
                    "schema": {"type": "object"},
                    "example": {
                        "$schema": "https://json-schema.org/draft/2020-12/schema",
                        "title": "Events and notices of an execution, and events of the service",
                        "oneOf": [{"type": "object", "properties": {"type": {"const": "stream_end"}}}],
                        "$defs": {},
                    },
                }
            },
        },
        **refusals.responses(errors.NotAcceptable),
    },
)
async def get_event_schema(request: Request) -> Response:
    """Return the JSON Schema of what streams carry: an alternative for each type of event and of notice.

    Under `$defs` are the dialects by their names: `/schemas/events#/$defs/bus`, `scoped`, `editor` and `ag-ui`.

    New types and new optional members may come with any version: readers take no notice of what they do not know.
    """
    choose(accepted(request), (JSON_SCHEMA, JSON))
    return Response(_event_schema(), media_type=JSON_SCHEMA)


def _page(name: str) -> Response:
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
    return HTMLResponse(_asset(_OF_OURS, name), headers=headers)


@cache
def _sockets(version: str) -> bytes:
    return msgspec.json.encode(describe_sockets(version))


@cache
def _event_schema() -> bytes:
    return msgspec.json.encode(streams_schema())


@cache
def _asset(package: str, name: str) -> bytes:
    parent, _, folder = package.rpartition(".")
    return files(parent).joinpath(folder, name).read_bytes()
