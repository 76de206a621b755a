"""Checking the shape of JSON values against models, with every problem at its place."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from graphwire.errors import GraphInvalid, Problem, quoted
from graphwire.json_text import pointer
from graphwire.near_names import NearNames

Model = TypeVar("Model", bound=BaseModel)

_DETAILS: Final[Mapping[str, str]] = {
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}
PROBLEMS_LIMIT: Final = 1_000
"""So many problems of a value are described, the others counted: nobody is shown more, and each takes time."""
_MODEL_DEPTH: Final = 4
_CHARACTERS: Final = "must be made of letters A to Z, digits and _ . - only, and not begin with . or -"
"""What the patterns of ids ask for; those of edges may hold ``>`` and ``#`` too, which nobody writes by hand."""


def parse_model(model: type[Model], value: Any, *, at: str = "") -> Model:
    """Return the model's instance for a JSON value.

    Args:
        at: The pointer of the value; those of the problems begin with it.

    Raises:
        GraphInvalid: With every problem of shape.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems, left_out = shape_problems(error, model, value, at)
    raise invalid_graph(problems, left_out)


def invalid_graph(problems: Sequence[Problem], left_out: int = 0) -> GraphInvalid:
    """Return the error that carries these problems, of which so many more are not described."""
    first = problems[0]
    place = f"{first.pointer}: " if first.pointer else ""
    count = len(problems) + left_out
    more = "" if count == 1 else f" (and {count - 1:,} more)"
    return GraphInvalid(f"{place}{first.detail}{more}", problems, left_out=left_out)


def shape_problems(
    error: ValidationError, model: type[BaseModel], value: Any, at: str = "", near: NearNames | None = None
) -> tuple[list[Problem], int]:
    """Return what is wrong with the shape of a value, and how many problems more there are than are described.

    Args:
        error: What validating the value by the model raised.
    """
    count = error.error_count()
    if count > PROBLEMS_LIMIT:
        error = _error_of_beginning(error, model, value)
    details = error.errors(include_url=False, include_input=False, include_context=False)[:PROBLEMS_LIMIT]
    merged: dict[tuple[str, bool], Problem] = {}
    near = near or NearNames()
    for detail in details:
        place = at + pointer(*_place(detail, value))
        problem = _problem(detail, model, place, near)
        key = place, detail["loc"][-1:] == ("[key]",)
        known = merged.get(key)
        if known is None:
            merged[key] = problem
        elif problem.detail not in known.detail:  # the members of a union, which all refused the value
            merged[key] = Problem(place, known.code, f"{known.detail}, or {problem.detail}")
    return list(merged.values()), max(0, count - len(details))


def _error_of_beginning(error: ValidationError, model: type[BaseModel], value: Any) -> ValidationError:
    """Return the error that the first members of long parts give: each one costs some 5 µs to be described."""
    if not isinstance(value, Mapping):
        return error
    known = {name: value[name] for name in _field_names(model, ()) if name in value}
    shortened = {**known, **_beginning(value, 1)}
    shortened.update((name, _beginning(part, _MODEL_DEPTH)) for name, part in known.items())
    try:
        model.model_validate(shortened)
    except ValidationError as shorter:
        return shorter
    return error


def _beginning(value: Any, depth: int) -> Any:
    if depth == 0:
        return value
    match value:
        case Mapping():
            return {name: _beginning(value[name], depth - 1) for name in islice(value, PROBLEMS_LIMIT)}
        case list():
            return [_beginning(item, depth - 1) for item in islice(value, PROBLEMS_LIMIT)]
        case _:
            return value


def _problem(detail: ErrorDetails, model: type[BaseModel], place: str, near: NearNames) -> Problem:
    kind = detail["type"]
    if kind == "extra_forbidden":
        name = str(detail["loc"][-1])
        hint = near(name, _field_names(model, detail["loc"][:-1]))
        return Problem(place, "unknown_field", f"there is no field {quoted(name)}{hint}")
    if kind == "missing":
        return Problem(place, "missing_field", f"the field {quoted(str(detail['loc'][-1]))} is missing")
    if kind == "string_pattern_mismatch":
        return Problem(place, "invalid_value", _CHARACTERS)
    text = _DETAILS.get(kind)
    if text is None:
        text = detail["msg"].removeprefix("Input should ").removeprefix("Value error, ")
        text = text.replace("String should", "the text should")
        text = f"must {text}" if detail["msg"].startswith("Input should ") else f"{text[0].lower()}{text[1:]}"
    return Problem(place, "invalid_value", text)


def _place(detail: ErrorDetails, value: Any) -> Iterator[str | int]:
    """Give the part of ``loc`` that exists in the value; the rest names members of unions and the like."""
    for part in detail["loc"]:
        match value:
            case Mapping() if part in value:
                value = value[part]
            case list() | tuple() if isinstance(part, int) and part < len(value):
                value = value[part]
            case _ if detail["type"] == "missing":
                yield detail["loc"][-1]
                return
            case _:
                return
        yield part


def _field_names(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    found: type[BaseModel] | None = model
    for part in place:
        if isinstance(part, str) and found is not None:
            fields = {field.alias or name: field for name, field in found.model_fields.items()}
            found = _model_in(fields[part].annotation) if part in fields else found
    return [] if found is None else [field.alias or name for name, field in found.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(islice(filter(None, map(_model_in, get_args(annotation))), 1), None)
