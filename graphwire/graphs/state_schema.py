"""The JSON Schema of a graph's state."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Final, NoReturn

import jsonschema_rs

from graphwire.errors import GraphInvalid, Problem, quoted
from graphwire.graphs.registry import SchemaPart
from graphwire.json_text import pointer

_PROBLEMS_LIMIT: Final = 100
_DETAIL_LIMIT: Final = 200
_OPEN_KEYWORDS: Final = frozenset(
    {"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "patternProperties", "dependentSchemas"}
)


class StateSchema:
    """A compiled schema. Reads nothing but the schema itself; its patterns take linear time.

    Attributes:
        keys: The top-level keys that it names; None if it leaves others open on purpose or names none.

    Raises:
        GraphInvalid: It is no JSON Schema, or refers to another document; pointers are relative to the schema.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        document = dict(schema)
        try:
            self._validator = jsonschema_rs.validator_for(
                document,
                retriever=_retrieve_nothing,
                pattern_options=jsonschema_rs.RegexOptions(),
                mask="the value",
            )
        except jsonschema_rs.ValidationError as error:
            place = pointer(*error.instance_path)
            raise _invalid(place, f"this is no JSON Schema: {_shown(error)}") from None
        except jsonschema_rs.ReferencingError:
            raise _invalid("", "the schema refers to something that is not in it") from None
        self.keys = _keys(document)

    def problems(self, state: Any, *, at: str = "", code: str = "state_invalid") -> list[Problem]:
        """Return what is wrong with a whole state, at most 100 things; ``at`` begins their pointers."""
        errors = islice(self._validator.iter_errors(state), _PROBLEMS_LIMIT)
        return [Problem(at + pointer(*error.instance_path), code, _shown(error)) for error in errors]


def schema_problems(part: SchemaPart) -> list[Problem]:
    """Return what is wrong with a schema in a config, or with the value that is to fit it."""
    try:
        schema = StateSchema(part.schema)
    except GraphInvalid as error:
        return [replace(problem, pointer=part.pointer + problem.pointer) for problem in error.problems]
    if not part.value_pointer:
        return []
    return schema.problems(part.value, at=part.value_pointer, code="value_invalid")


def _keys(schema: Mapping[str, Any]) -> frozenset[str] | None:
    properties = schema.get("properties")
    if not properties or _OPEN_KEYWORDS & schema.keys() or schema.get("additionalProperties", False) is not False:
        return None
    return frozenset(properties)


def _retrieve_nothing(uri: str) -> NoReturn:
    raise ValueError("a state's schema stands alone")


def _shown(error: jsonschema_rs.ValidationError) -> str:
    return quoted(error.message.replace('"', "'"), _DETAIL_LIMIT)[1:-1]


def _invalid(place: str, detail: str) -> GraphInvalid:
    return GraphInvalid(detail, [Problem(place, "schema_invalid", detail)])
