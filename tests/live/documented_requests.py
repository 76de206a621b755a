"""The requests that the description of the API shows, as they stand there."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.api.schemas.examples import EXECUTION_ID
from graphwire.graphs.documents import write_document
from tests.live.description import Operation

TAKES_A_KEY = "Idempotency-Key"


@dataclass(frozen=True)
class Example:
    """A request of the description.

    Attributes:
        name: The operation, and what the example shows.
        path: With the examples of its parameters filled in.
    """

    operation: Operation
    name: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def of_execution(self, execution_id: str) -> "Example":
        """Return it for an execution that there is: the one thing that the description cannot know."""
        return replace(self, path=self.path.replace(EXECUTION_ID, execution_id))

    @property
    def needs_an_execution(self) -> bool:
        """Return whether it names the execution of the examples."""
        return EXECUTION_ID in self.path


def requests(operation: Operation) -> Iterator[Example]:
    """Return every example of an operation: each body in each form, and each parameter that may be left out."""
    parameters = operation.described.get("parameters", [])
    path = operation.path
    headers: dict[str, str] = {}
    for parameter in parameters:
        if (value := filled_in(parameter)) is None:
            continue
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(value))
        else:
            headers[parameter["name"]] = str(value)
    first: Example | None = None
    for name, media_type, body in _bodies(operation):
        typed = headers if media_type is None else {**headers, "Content-Type": media_type}
        example = Example(operation, f"{operation.id}: {name}", path, {}, typed, body)
        first = first or example
        yield example
    assert first is not None
    answered = _answered(operation)
    for media_type in answered if len(answered) > 1 else ():
        yield replace(first, name=f"{operation.id}: {media_type}", headers={**first.headers, "Accept": media_type})
    for parameter in parameters:
        yield from _with(first, parameter)


def filled_in(parameter: Mapping[str, Any]) -> Any:
    """Return what a page fills in for a parameter; None for one that it leaves out."""
    if "example" in parameter:
        return parameter["example"]
    return next((each["value"] for each in parameter.get("examples", {}).values()), None)


def _with(first: Example, parameter: Mapping[str, Any]) -> Iterator[Example]:
    if filled_in(parameter) is not None:
        return
    name = parameter["name"]
    for value in parameter["schema"].get("examples", ()):
        shown = f"{first.operation.id}: {name}"
        if parameter["in"] == "query":
            written = str(value).lower() if isinstance(value, bool) else value
            yield replace(first, name=shown, query={name: written})
        elif name == TAKES_A_KEY:  # one key is for one request
            yield replace(first, name=shown, headers={**first.headers, name: f"{value}-{first.operation.id}"})
        else:
            yield replace(first, name=shown, headers={**first.headers, name: str(value)})


def _bodies(operation: Operation) -> Iterator[tuple[str, str | None, bytes | None]]:
    if "requestBody" not in operation.described:
        yield "as it stands", None, None
        return
    for media_type, content in operation.described["requestBody"]["content"].items():
        for name, example in content["examples"].items():
            yield f"{name} as {media_type}", media_type, _written(example["value"], media_type)


def _written(value: Any, media_type: str) -> bytes:
    if media_type.endswith("ndjson"):
        return b"".join(json.dumps(line).encode() + b"\n" for line in value)
    return write_document(value, "yaml" if media_type.endswith("yaml") else "json")


def _answered(operation: Operation) -> list[str]:
    answers = operation.described["responses"]
    return next((list(answers[status].get("content", {})) for status in ("200", "201", "202") if status in answers), [])
