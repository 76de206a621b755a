"""Answers about graphs in the format that was asked for: whatever is JSON is also YAML."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from app.api.beside import Beside
from app.api.negotiation import JSON, YAML, accepted, choose
from app.api.preconditions import in_yaml
from graphwire.graphs.documents import write_document


class DocumentRoute(APIRoute):
    """A route whose JSON answers are YAML for whoever accepts that instead. Errors stay problems in JSON."""

    def __init__(self, *arguments: Any, **described: Any) -> None:
        super().__init__(*arguments, **described)
        for answer in self.responses.values():
            content = answer.get("content", {})
            if JSON in content and YAML not in content:
                answer["content"] = {**content, YAML: content[JSON]}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with the translation around it."""
        handler = super().get_route_handler()

        async def negotiated(request: Request) -> Response:
            answer = await handler(request)
            answer.headers["Vary"] = "Accept"
            tag = answer.headers.get("ETag")
            if (answer.media_type != JSON and tag is None) or choose(accepted(request), (JSON, YAML)) == JSON:
                return answer
            if tag is not None:
                answer.headers["ETag"] = in_yaml(tag)
            return await _in_yaml(request.state.beside, answer) if answer.media_type == JSON else answer

        return negotiated


async def _in_yaml(beside: Beside, answer: Response) -> Response:
    data = bytes(answer.body)
    made = await beside.write(len(data), lambda: _yaml(data))
    headers = {name: value for name, value in answer.headers.items() if name not in ("content-type", "content-length")}
    return Response(made, answer.status_code, headers=headers, media_type=YAML)


def _yaml(data: bytes) -> bytes:
    return write_document(json.loads(data), "yaml")
