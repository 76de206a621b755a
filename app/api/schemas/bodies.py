"""Request bodies in the OpenAPI description: the service reads them itself, so the framework does not see them."""

from typing import Any

from pydantic import BaseModel

JSON = "application/json"


def described(model: type[BaseModel], *, required: bool = False) -> dict[str, Any]:
    """Return what a route's ``openapi_extra`` says about its body."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": required, "content": {JSON: {"schema": schema}}}}


def schemas(*models: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schemas of bodies and of their parts, by name."""
    found: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        found.update(schema.pop("$defs", {}))
        found[model.__name__] = schema
    return found
