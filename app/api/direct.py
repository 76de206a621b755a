"""Routes that are called without the framework's search for what they need."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.api.head import IS_HEAD


class DirectRoute(APIRoute):
    """A route of streams: its endpoint takes the request, names of the path, and what the query may say.

    Without a query there is nothing to read out and to check, so the endpoint is called at once, with its defaults.
    It takes no HEAD.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request: the framework's documented place for a handler of one's own."""
        if self.dependant.dependencies or self.dependant.body_params:
            raise TypeError(f"{self.path} must take the request itself: it is called without dependencies")
        read_query = super().get_route_handler()
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            if request.scope["state"].get(IS_HEAD):
                raise HTTPException(405)  # a reader would come and go, which is more than a look
            if request.scope["query_string"]:
                return await read_query(request)
            answer: Response = await endpoint(request=request, **request.path_params)
            return answer

        return handle
