"""Request bodies in the OpenAPI description: the service reads them itself, so the framework does not see them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

JSON = "application/json"
START_EXAMPLE: Final = {"state": {"name": "Ada"}, "detail": "full", "metadata": {"by": "docs"}}
CANCEL_EXAMPLE: Final = {"reason": "no longer needed"}
GRAPH_EXAMPLE: Final = {
    "id": "discount",
    "nodes": [
        {"id": "price", "type": "transform", "config": {"set": {"total": "sum(state.prices)"}}},
        {"id": "reduce", "type": "transform", "config": {"set": {"total": "state.total * 0.9"}}},
        {"id": "offer", "type": "template", "config": {"text": "Yours for {{ state.total }}"}},
    ],
    "edges": [
        {"source": "price", "target": "reduce", "when": "state.total > 100"},
        {"source": "price", "target": "offer", "else": True},
        {"source": "reduce", "target": "offer"},
    ],
    "state": {"initial": {"prices": [90, 30]}},
}


def described(
    model: type[BaseModel],
    *,
    example: Mapping[str, Any],
    required: bool = False,
    media_types: Sequence[str] = (JSON,),
    parameters: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return what a route's ``openapi_extra`` says about its body, and about headers that it reads itself."""
    content = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, "example": example}
    body = {"required": required, "content": dict.fromkeys(media_types, content)}
    return {"requestBody": body, "parameters": [dict(parameter) for parameter in parameters]}


def schemas(*models: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schemas of bodies and of their parts, by name."""
    found: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        found.update(schema.pop("$defs", {}))
        found[model.__name__] = schema
    return found
