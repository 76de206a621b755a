"""What the fields of a definition are made of."""

from typing import Annotated, Any, Final, TypeAlias, get_args

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

MAX_LIST_LENGTH: Final = 100_000

STRICT: Final = ConfigDict(strict=True, extra="forbid", frozen=True)
"""Of every part of a definition: nothing is converted, nothing unknown passes, nothing changes."""

Seconds: TypeAlias = Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)]


class Given:
    """May be left out, but not be null: ``None`` stands only for "not given"."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(_refuse_null, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        shown = handler(schema)
        return next((part for part in shown.get("anyOf", ()) if part != {"type": "null"}), shown)


def _refuse_null(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("null_forbidden", "null is no value here; leave the field out")
    return value


class FromList:
    """A JSON array becomes a tuple; nothing else does."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        (item, _ellipsis) = get_args(source)
        schema = core_schema.tuple_variable_schema(handler.generate_schema(item), strict=False)
        return core_schema.no_info_before_validator_function(_refuse_no_list, schema)


def _refuse_no_list(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise PydanticCustomError("list_type", "Input should be a valid list")
    if len(value) > MAX_LIST_LENGTH:
        limit = {"limit": f"{MAX_LIST_LENGTH:,}"}
        raise PydanticCustomError("too_long", "there are more than the {limit} that any setting allows", limit)
    return value


class OneProblem:
    """However many ways there are to be sound, a value that is none of them has one problem: this sentence."""

    def __init__(self, detail: str) -> None:
        self._detail = detail

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.custom_error_schema(
            handler(source), custom_error_type="wrong_value", custom_error_message=self._detail
        )
