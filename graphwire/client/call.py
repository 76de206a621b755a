"""One request and how its answer is read: plain values, which both clients carry out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import quote
from uuid import uuid4

import msgspec
from msgspec import Struct

from graphwire.client.errors import ProblemError, UnexpectedAnswer
from graphwire.errors import Problem

T = TypeVar("T")
JSON: Final = "application/json"
Query: TypeAlias = Mapping[str, str]

MEMBERS: Final = frozenset({"type", "title", "status", "detail", "code", "request_id", "errors"})
"""Of a problem; all others are facts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        headers: By their names in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request.

    Attributes:
        path: Below the address of the service.
        read: Makes the result of an answer that is no problem; raises ``UnexpectedAnswer``.
        is_repeatable: Whether it may be sent again where the answer got lost: it is carried out once all the same.
        wait_s: How long the service may take on purpose.
        is_asked_once: A refusal for now is an answer, too.
    """

    method: str
    path: str
    read: Callable[[Answer], T]
    query: Query = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    is_repeatable: bool = False
    wait_s: float = 0.0
    is_asked_once: bool = False


def path(*parts: str | int) -> str:
    """Return a path of these parts, each as it is, whatever its characters."""
    return "".join(f"/{_segment(str(part))}" for part in parts)


def _segment(part: str) -> str:
    return part.replace(".", "%2E") if part in (".", "..") else quote(part, safe="")  # else they lead elsewhere


def once(idempotency_key: str | None) -> dict[str, str]:
    """Return the headers of a JSON request that is carried out once, however often it is sent.

    Args:
        idempotency_key: Names it; else it has a new name.

    Raises:
        ValueError: The name is not 1 to 255 printable ASCII characters.
    """
    key = str(uuid4()) if idempotency_key is None else idempotency_key
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise ValueError("an Idempotency-Key is 1 to 255 printable ASCII characters")
    return {"Content-Type": JSON, "Idempotency-Key": key}


def query(**values: object) -> dict[str, str]:
    """Return the members of a query that are given: not None, not empty. A list is separated by commas."""
    return {name: _text(value) for name, value in values.items() if value is not None and value != () and value != []}


def several(names: Sequence[str]) -> list[str]:
    """Return names as a list; a text is one name."""
    return [names] if isinstance(names, str) else list(names)


def body(**members: object) -> bytes:
    """Return a JSON object of the members that are given."""
    return msgspec.json.encode({name: value for name, value in members.items() if value is not None})


def reads(kind: type[T]) -> Callable[[Answer], T]:
    """Return what reads a JSON answer of this shape."""
    decoder = msgspec.json.Decoder(kind)

    def read(answer: Answer) -> T:
        try:
            return decoder.decode(answer.body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnexpectedAnswer(
                f"the answer is not what this client knows ({error}); is it a Graphwire service of its version?",
                status=answer.status,
            ) from None

    return read


def read_nothing(answer: Answer) -> None:
    """Read an answer that says nothing."""


def read_text(answer: Answer) -> str:
    """Read an answer that is text."""
    return answer.body.decode(errors="replace")


def refusal(answer: Answer) -> ProblemError | UnexpectedAnswer:
    """Return an answer that is no success as the error that it is."""
    retry_after_s = _seconds(answer.headers.get("retry-after"))
    if answer.headers.get("content-type", "").partition(";")[0].strip() == "application/problem+json":
        try:
            told = msgspec.json.decode(answer.body, type=_Told)
            members = msgspec.json.decode(answer.body, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            pass
        else:
            return ProblemError(
                told.code,
                answer.status,
                told.detail,
                title=told.title,
                errors=told.errors,
                facts={name: value for name, value in members.items() if name not in MEMBERS},
                request_id=told.request_id,
                retry_after_s=retry_after_s,
            )
    if 300 <= answer.status < 400:
        place = answer.headers.get("location", "nowhere")[:200]
        detail = f"the address leads elsewhere ({answer.status}), to {place}; name the service where it is"
        return UnexpectedAnswer(detail, status=answer.status)
    detail = f"the answer ({answer.status}) is none of a Graphwire service: is the address right, is a proxy between?"
    return UnexpectedAnswer(detail, status=answer.status, retry_after_s=retry_after_s)


class _Told(Struct, frozen=True):
    code: str
    detail: str = ""
    title: str = ""
    errors: tuple[Problem, ...] = ()
    request_id: str | None = None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _seconds(retry_after: str | None) -> float | None:
    """Read ``Retry-After``; a date, which this service never sends, is none."""
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10:
        return float(retry_after)
    return None
