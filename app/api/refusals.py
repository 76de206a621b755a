"""What routes may refuse, in the description of the API: every code, with an example of its problem."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from app.api import errors
from app.api.explanations import ADVICE
from app.api.problems import MEDIA_TYPE, RETRY_AFTER_S, status_of
from app.services.errors import CodeChanged, IdempotencyMismatch
from graphwire.errors import (
    AlreadyRunning,
    AtCapacity,
    CodeNotAllowed,
    DuplicateKey,
    GraphInvalid,
    GraphwireError,
    HistoryDamaged,
    InvalidInput,
    InvalidText,
    MalformedInput,
    MalformedYaml,
    NotFound,
    ShuttingDown,
    StateInvalid,
    StorageUnavailable,
    TooDeep,
    UnknownNodeType,
    YamlAliasLimit,
    YamlTag,
)

Refusal = type[GraphwireError]

ANY_REQUEST: Final[tuple[Refusal, ...]] = (
    errors.BadRequest, errors.MisplacedKey, errors.Unauthorized, errors.OriginNotAllowed, errors.MethodNotAllowed,
    errors.BodyTooLarge, errors.AddressTooLong, errors.MisdirectedRequest, errors.TooManyFailures,
    errors.HeadersTooLarge, GraphwireError,
)  # fmt: skip
"""What any request may be answered, whatever its route."""

BODY: Final[tuple[Refusal, ...]] = (
    MalformedInput, DuplicateKey, InvalidText, errors.BodyTooLarge, errors.UnsupportedMediaType,
    errors.UnsupportedCompression, InvalidInput, TooDeep, AtCapacity,
)  # fmt: skip
"""Where a body is read."""

DEFINITION: Final[tuple[Refusal, ...]] = (*BODY, MalformedYaml, YamlTag, YamlAliasLimit)
"""Where a definition is read."""

STORED_DEFINITION: Final[tuple[Refusal, ...]] = (*DEFINITION, GraphInvalid, UnknownNodeType, CodeNotAllowed)
"""Where it is stored, too."""

KEYED: Final[tuple[Refusal, ...]] = (errors.InvalidIdempotencyKey, IdempotencyMismatch)
"""Where an ``Idempotency-Key`` is honoured."""

START: Final[tuple[Refusal, ...]] = (
    *BODY, *KEYED, AlreadyRunning, NotFound, errors.NotAcceptable, errors.UseLocation, CodeChanged, StateInvalid,
    GraphInvalid, UnknownNodeType, ShuttingDown, StorageUnavailable, HistoryDamaged,
)  # fmt: skip
"""Where an execution is started."""

SCHEMA: Final[Mapping[str, Any]] = {
    "title": "Problem",
    "description": "An error (RFC 9457). `code` is stable; `type` leads to its explanation. More members give facts.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "The address of the code's explanation."},
        "title": {"type": "string", "description": "The same text for every occurrence of the code."},
        "status": {"type": "integer", "description": "The HTTP status, once more."},
        "detail": {"type": "string", "description": "What is wrong this time."},
        "code": {"type": "string", "description": "What programs go by. `GET /problems` lists all of them."},
        "request_id": {"type": "string", "description": "Names the request in the service's log."},
        "errors": {
            "type": "array",
            "description": "All that is wrong with the input; at most 100, then `errors_left_out` counts the rest.",
            "maxItems": 100,
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON Pointer (RFC 6901) into the input."},
                    "code": {"type": "string", "description": "What is wrong at this place."},
                    "detail": {"type": "string", "description": "The same in a sentence."},
                    "line": {"type": "integer", "minimum": 1, "description": "Where the input was text."},
                    "column": {"type": "integer", "minimum": 1, "description": "Likewise."},
                },
            },
        },
        "errors_left_out": {"type": "integer", "minimum": 1},
    },
}
"""The JSON Schema of every problem."""

RETRY_AFTER: Final[Mapping[str, Any]] = {
    "description": "After so many seconds the same request may succeed.",
    "schema": {"type": "integer", "minimum": 1},
    "example": 5,
}

_REASONS: Final[Mapping[int, str]] = {
    400: "The request cannot be read.",
    401: "The key is missing or wrong.",
    403: "It may not be asked from there.",
    404: "There is no such thing.",
    405: "The address does not take the method.",
    406: "None of the media types that are offered is accepted.",
    409: "Right, but not now.",
    412: "It was changed meanwhile.",
    413: "The body is too large.",
    414: "The address is too long.",
    415: "The body is of a type that is not taken.",
    421: "The request is for another host.",
    422: "It could be read, but is wrong; every problem is listed.",
    428: "A change of what exists needs a condition.",
    429: "Too much; try again after `Retry-After`.",
    431: "The headers are too large.",
    500: "A fault on this side.",
    503: "Not now; try again after `Retry-After`.",
}


def responses(*refusals: Refusal) -> dict[int | str, dict[str, Any]]:
    """Describe a route's refusals, a response for each status with an example for each code."""
    by_status: dict[int, list[Refusal]] = {}
    for refusal in dict.fromkeys(refusals):
        by_status.setdefault(status_of(refusal), []).append(refusal)
    return {status: _response(_REASONS[status], by_status[status], status) for status in sorted(by_status)}


def of_any_request() -> dict[str, Any]:
    """Describe what any request may be answered."""
    reason = "What any request may be answered: it cannot be read, may not be asked, or met a fault of the service."
    return _response(reason, ANY_REQUEST, None)


def _response(reason: str, refusals: Iterable[Refusal], status: int | None) -> dict[str, Any]:
    examples = {refusal.code: _example(refusal) for refusal in refusals}
    codes = ", ".join(f"`{code}`" for code in examples)
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
    described: dict[str, Any] = {"description": f"{reason} Codes: {codes}.", "content": {MEDIA_TYPE: content}}
    if status in RETRY_AFTER_S:
        described["headers"] = {"Retry-After": dict(RETRY_AFTER)}
    return described


def _example(refusal: Refusal) -> dict[str, Any]:
    advice = ADVICE[refusal.code]
    value = {
        "type": f"/problems/{refusal.code}",
        "title": refusal.title,
        "status": status_of(refusal),
        "detail": advice.detail,
        "code": refusal.code,
        "request_id": "ec67304cd926f409",
        **advice.facts,
    }
    return {"summary": refusal.title, "description": advice.next, "value": value}
