"""The description of the API as a judge: whether an answer is one that its route may give."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from app.api.problems import MEDIA_TYPE as PROBLEM
from app.main import create_app
from app.settings import Settings
from graphwire.graphs.documents import read_document

TOLD_HEADERS = ("etag", "idempotent-replayed", "link", "location", "retry-after")
NOT_DESCRIBED = re.compile(r"/|/openapi\.json|/docs(/[^/]*)?")
NOWHERE = {("not_found", 404), ("method_not_allowed", 405)}


@dataclass(frozen=True)
class Operation:
    """A method of a path."""

    method: str
    path: str
    described: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Return its name."""
        return str(self.described["operationId"])

    @property
    def is_of_socket(self) -> bool:
        """Return whether it opens a WebSocket, which no plain request can."""
        return "sockets" in self.described["tags"]

    def codes(self) -> Iterator[tuple[str, int]]:
        """Return the codes that are described for this operation itself, each with its status."""
        for status, answer in self.described["responses"].items():
            for code in answer.get("content", {}).get(PROBLEM, {}).get("examples", {}):
                yield code, int(status)


class Description:
    """An OpenAPI document, asked what an answer may be."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.operations = [
            Operation(method.upper(), path, described)
            for path, methods in document["paths"].items()
            for method, described in methods.items()
        ]
        self._patterns = {path: re.compile(re.sub(r"\{\w+\}", "[^/]+", path)) for path in document["paths"]}
        self._schemas: dict[str, Any] = {}
        general = document["components"]["responses"]["AnyRequest"]["content"][PROBLEM]["examples"]
        self.general = {(code, example["value"]["status"]) for code, example in general.items()}

    def operation(self, method: str, path: str) -> Operation | None:
        """Return the operation that a request is for; None where there is none."""
        wanted = "GET" if method == "HEAD" else method
        for operation in self.operations:
            if operation.method == wanted and self._patterns[operation.path].fullmatch(path):
                return operation
        return None

    def validator(self, schema: Mapping[str, Any]) -> Any:
        """Return what judges a value by a schema of the document."""
        key = json.dumps(schema, sort_keys=True)
        if key not in self._schemas:
            whole = {"allOf": [schema], "components": self.document["components"]}
            self._schemas[key] = jsonschema_rs.validator_for(whole)
        return self._schemas[key]

    def fault(
        self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes | None = None
    ) -> str | None:
        """Return what of an answer is not as described; None where all is. Of a stream the body is None."""
        if NOT_DESCRIBED.fullmatch(path):
            return None
        operation = self.operation(method, path)
        if operation is None and self._is_known(path):
            return None if status >= 400 else f"{status}, but there is no such operation"
        media_type = headers.get("content-type", "").partition(";")[0]
        if media_type == PROBLEM:
            return None if not body else self._fault_of_problem(operation, status, json.loads(body))
        if operation is None:
            return f"{status} {media_type} where there is nothing"
        return self._fault_of_answer(operation, status, media_type, headers, None if method == "HEAD" else body)

    def _is_known(self, path: str) -> bool:
        return any(pattern.fullmatch(path) for pattern in self._patterns.values())

    def _fault_of_problem(self, operation: Operation | None, status: int, problem: Any) -> str | None:
        declared = NOWHERE if operation is None else set(operation.codes())
        code = problem.get("code")
        if (code, status) not in declared | self.general:
            return f"the code {code} ({status}) is not described"
        return self._fault_of_value({"$ref": "#/components/schemas/Problem"}, problem)

    def _fault_of_answer(
        self, operation: Operation, status: int, media_type: str, headers: Mapping[str, str], body: bytes | None
    ) -> str | None:
        answer = operation.described["responses"].get(str(status))
        if answer is None:
            return f"the status {status} is not described"
        told = {name.lower() for name in answer.get("headers", {})}
        if untold := [name for name in TOLD_HEADERS if name in headers and name not in told]:
            return f"{status}: the headers {untold} are not described"
        content = answer.get("content", {})
        if not content:
            return f"{status} has no body, says the description" if body else None
        if media_type not in content:
            return f"{status}: the media type {media_type!r} is not described"
        if not body:
            return None
        schema = content[media_type].get("schema", {})
        if media_type == "application/yaml":
            return self._fault_of_value(schema, read_document(body, "yaml").value)
        return self._fault_of_value(schema, json.loads(body)) if "json" in media_type.split("+")[-1] else None

    def _fault_of_value(self, schema: Mapping[str, Any], value: Any) -> str | None:
        error = next(self.validator(schema).iter_errors(value), None)
        return None if error is None else f"{error.message} at {error.instance_path}"


@cache
def description() -> Description:
    """Return the description of a service without settings."""
    return Description(create_app(Settings()).openapi())


async def is_as_described(response: httpx.Response) -> None:
    """Assert that an answer is one that the description knows: a hook of clients."""
    is_whole = "content-length" in response.headers
    body = await response.aread() if is_whole else None
    request = response.request
    fault = description().fault(request.method, request.url.path, response.status_code, response.headers, body)
    assert fault is None, f"{request.method} {request.url.path}: {fault}"
