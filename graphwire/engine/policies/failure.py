"""What an exception becomes: pure decisions. What follows from it is decided by the policies beside."""

import traceback
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

from graphwire.errors import GraphwireError
from graphwire.events.types import Failure

MAX_MESSAGE = 2_000
MAX_TRACEBACK = 8_000
MAX_RETRY_AFTER_S: Final = 3_600.0
TRANSIENT: Final = frozenset({"timeout", "network", "rate_limit", "service_unavailable"})
"""Codes of failures that may well be over the next time."""

_CODES: Final[Mapping[int, str]] = {
    401: "authentication",
    403: "authentication",
    408: "timeout",
    425: "service_unavailable",
    429: "rate_limit",
    500: "service_unavailable",
    502: "service_unavailable",
    503: "service_unavailable",
    504: "service_unavailable",
    529: "service_unavailable",
}
_CLASSES: Final[Mapping[str, str]] = {
    "TimeoutError": "timeout",
    "TimeoutException": "timeout",
    "APITimeoutError": "timeout",
    "ConnectionError": "network",
    "TransportError": "network",
    "ClientConnectionError": "network",
    "APIConnectionError": "network",
    "gaierror": "network",
    "MemoryError": "resource_exhaustion",
}
"""By the name of a class: those of Python, and those by which HTTP clients say that nothing came back."""

CODES_BY_CAUSE: Final = frozenset({*_CODES.values(), *_CLASSES.values()})
"""The codes of exceptions that are not Graphwire's own."""


def describe(error: BaseException, *, node: str, activation: str, attempt: int) -> Failure:
    """Return the failure that an exception stands for. Never fails, whatever the exception's ``__str__`` does."""
    code = code_of(error)
    told = _told(error, "is_transient")
    return Failure(
        code=code,
        type=type(error).__name__[:128],
        message=message_of(error),
        node=node,
        activation=activation,
        attempt=attempt,
        is_transient=told if isinstance(told, bool) else code in TRANSIENT,
    )


def traceback_of(error: BaseException) -> str:
    """Return where in the code an exception was raised, the end of it, as Python prints it."""
    try:
        text = "".join(traceback.format_exception(error))
    except Exception as broken:  # border: the text is made by the node's own code
        text = f"(no traceback: printing it raised {type(broken).__name__})"
    text = text if len(text) <= MAX_TRACEBACK else "…" + text[-MAX_TRACEBACK:]
    return text.encode("utf-8", "replace").decode("utf-8")


def code_of(error: BaseException) -> str:
    """Return the code of an exception: its own, else by the HTTP status that it carries, else by its class."""
    if isinstance(error, GraphwireError):
        return error.code
    status = status_of(error)
    if status is not None and status in _CODES:
        return _CODES[status]
    for base in type(error).__mro__:
        if base.__name__ in _CLASSES:
            return _CLASSES[base.__name__]
    return "exception"


def status_of(error: BaseException) -> int | None:
    """Return the status of the HTTP response that an exception is about; None for any other."""
    response = _told(error, "response")
    for holder in (response, error):
        for name in ("status_code", "status"):
            status = _told(holder, name)
            if isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 599:
                return status
    return None


def names_of(error: BaseException) -> frozenset[str]:
    """Return the names by which a policy may mean an exception: its code, and its classes, short and in full."""
    classes = [base for base in type(error).__mro__ if base is not object]
    return frozenset(
        {code_of(error), *(c.__name__ for c in classes), *(f"{c.__module__}.{c.__qualname__}" for c in classes)}
    )


def is_for_good(error: BaseException) -> bool:
    """Whether an exception says that trying again is of no use: by itself, or by the HTTP status that it carries."""
    told = _told(error, "is_transient")
    if isinstance(told, bool):
        return not told
    if isinstance(error, SystemExit | KeyboardInterrupt | GeneratorExit):
        return True  # they ask for an end
    status = status_of(error)
    return status is not None and 400 <= status < 500 and status not in (408, 409, 425, 429)


def retry_after_of(error: BaseException, now_s: float) -> float | None:
    """Return how many seconds the upstream asks to wait, at most an hour; None if it does not ask.

    Args:
        now_s: The wall time, which a date is compared with.
    """
    asked = _told(error, "retry_after_s")
    if isinstance(asked, int | float) and not isinstance(asked, bool):
        return _bounded(float(asked))
    headers = _told(_told(error, "response"), "headers")
    try:
        text = None if headers is None else headers.get("Retry-After") or headers.get("retry-after")
    except Exception:  # border: an object of the node's own making
        return None
    return None if text is None else _seconds(str(text), now_s)


def _seconds(text: str, now_s: float) -> float | None:
    """Return what a ``Retry-After`` means (RFC 9110 §10.2.3): seconds, or a date."""
    if text.strip().isdecimal():
        return _bounded(float(text.strip()[:12]))
    try:
        date = parsedate_to_datetime(text[:64])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    try:
        return _bounded(date.timestamp() - now_s)
    except (ValueError, OverflowError, OSError):
        return None


def _bounded(seconds: float) -> float | None:
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if seconds == seconds else None  # NaN asks for nothing


def _told(holder: Any, name: str) -> Any:
    """Return an attribute of something that the node's own code made; None if reading it fails."""
    if holder is None:
        return None
    try:
        return getattr(holder, name, None)
    except Exception:  # border: a property of the node's own making
        return None


def message_of(error: BaseException) -> str:
    """Return an exception's text, cut, with what UTF-8 cannot carry replaced."""
    try:
        text = error.detail if isinstance(error, GraphwireError) else str(error)
        if isinstance(error, BaseExceptionGroup):
            text = "; ".join([text, *(f"{type(inner).__name__}: {inner}" for inner in error.exceptions[:5])])
    except BaseException as broken:  # border: the text is made by the node's own code
        text = f"(no text: its __str__ raised {type(broken).__name__})"
    if len(text) > MAX_MESSAGE:
        text = text[:MAX_MESSAGE] + "…"
    return text.encode("utf-8", "replace").decode("utf-8")
