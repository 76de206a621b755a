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
    "missing": "this field is missing",
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
_PROBLEMS_LIMIT: Final = 1_000
_CODES: Final[Mapping[str, str]] = {"missing": "missing_field", "extra_forbidden": "unknown_field"}


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
        problems = list(_problems(error, model, value, at))
    raise invalid_graph(problems)


def invalid_graph(problems: Sequence[Problem]) -> GraphInvalid:
    """Return the error that carries these problems."""
    first = problems[0]
    place = f"{first.pointer}: " if first.pointer else ""
    more = "" if len(problems) == 1 else f" (and {len(problems) - 1:,} more)"
    return GraphInvalid(f"{place}{first.detail}{more}", problems)


def _problems(error: ValidationError, model: type[BaseModel], value: Any, at: str) -> Iterator[Problem]:
    count = error.error_count()
    if count > _PROBLEMS_LIMIT:
        error = _error_of_beginning(error, model, value)
        yield Problem(at, "too_many_problems", f"{count:,} problems of shape; these are some of the first")
    details = islice(error.errors(include_url=False, include_input=False), _PROBLEMS_LIMIT)
    merged: dict[str, Problem] = {}
    near = NearNames()
    for detail in details:
        place = at + pointer(*_place(detail, value))
        problem = _problem(detail, model, place, near)
        known = merged.get(place)
        if known is None:
            merged[place] = problem
        elif problem.detail not in known.detail:  # the members of a union, which all refused the value
            merged[place] = Problem(place, known.code, f"{known.detail}, or {problem.detail}")
    yield from merged.values()


def _error_of_beginning(error: ValidationError, model: type[BaseModel], value: Any) -> ValidationError:
    """Return the error that the first members of long parts give: each one costs some 5 µs to be described."""
    if not isinstance(value, Mapping):
        return error
    known = [name for name in _field_names(model, ()) if name in value]
    names = {*known, *islice(value, _PROBLEMS_LIMIT)}
    shortened = {
        name: value[name][:_PROBLEMS_LIMIT] if isinstance(value[name], list) else value[name] for name in names
    }
    try:
        model.model_validate(shortened)
    except ValidationError as shorter:
        return shorter
    return error


def _problem(detail: ErrorDetails, model: type[BaseModel], place: str, near: NearNames) -> Problem:
    kind = detail["type"]
    if kind == "extra_forbidden":
        name = str(detail["loc"][-1])
        hint = near(name, _field_names(model, detail["loc"][:-1]))
        return Problem(place, "unknown_field", f"there is no field {quoted(name)}{hint}")
    text = _DETAILS.get(kind)
    if text is None:
        text = detail["msg"].removeprefix("Input should ").removeprefix("Value error, ")
        text = text.replace("String should", "the text should")
        text = f"must {text}" if detail["msg"].startswith("Input should ") else f"{text[0].lower()}{text[1:]}"
    return Problem(place, _CODES.get(kind, "invalid_value"), text)


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
