"""Request bodies in the OpenAPI description: the service reads them itself, so the framework does not see them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from app.api.negotiation import JSON


def described(
    model: type[BaseModel] | Mapping[str, Any] | None,
    *,
    description: str,
    examples: Mapping[str, Any],
    required: bool = False,
    media_types: Sequence[str] = (JSON,),
    parameters: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return what a route's ``openapi_extra`` says about its body, and about headers that it reads itself.

    Args:
        model: None for a body that may be anything; a schema may be given instead.
        examples: By name: OpenAPI's example objects.
    """
    if isinstance(model, type):
        schema: Mapping[str, Any] = {"$ref": f"#/components/schemas/{model.__name__}"}
    else:
        schema = model or {}
    content = {name: {"schema": schema, "examples": dict(examples)} for name in media_types}
    body = {"description": description, "required": required, "content": content}
    return {"requestBody": body, "parameters": [dict(parameter) for parameter in parameters]}


def schemas(*models: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schemas of bodies and of their parts, by name."""
    found: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        found.update(schema.pop("$defs", {}))
        found[model.__name__] = schema
    return found
