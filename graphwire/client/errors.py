"""What a client raises: problems that the service told, and what keeps it from being reached."""

from collections.abc import Mapping
from typing import Any

from graphwire.errors import Problem


class ClientError(Exception):
    """What all errors of the client share.

    Attributes:
        detail: What is wrong and what to do, in a sentence.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ProblemError(ClientError):
    """The service answered with a problem (RFC 9457); ``docs/reference/problems.md`` has all codes.

    Attributes:
        code: The problem's name, in snake case: what a program decides by.
        status: The HTTP status.
        errors: What is wrong with an input, each with its place; empty where no input is to blame.
        facts: Its further members, such as ``allowed`` or ``current``.
        request_id: Names the request in the log of the service.
        retry_after_s: After how many seconds the service wants to be asked again; None if it does not say.
    """

    def __init__(
        self,
        code: str,
        status: int,
        detail: str,
        *,
        title: str = "",
        errors: tuple[Problem, ...] = (),
        facts: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.title = title
        self.errors = errors
        self.facts: Mapping[str, Any] = facts or {}
        self.request_id = request_id
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.code} ({self.status}): {self.detail}"


class UnexpectedAnswer(ClientError):
    """An answer is not one of this service: a page of a proxy, a broken body, one that is too large.

    Attributes:
        status: The HTTP status; None where there was none.
    """

    def __init__(self, detail: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.retry_after_s = retry_after_s


class ConnectionFailed(ClientError):
    """The service cannot be reached, or the connection to it broke.

    Attributes:
        was_open: Whether there was a connection: then the request may have been carried out.
        is_silent: Whether it ended because nothing came, not even a sign of life.
    """

    def __init__(self, detail: str, *, was_open: bool, is_silent: bool = False) -> None:
        super().__init__(detail)
        self.was_open = was_open
        self.is_silent = is_silent


class StreamClosedError(ClientError):
    """The service ended a stream before its end, by the notice ``stream_closed``.

    Attributes:
        code: Why: ``deleted``, ``unauthorized``, ``shutting_down`` …
        retry_after_s: After how many seconds it wants to be asked again; None if it does not say.
    """

    def __init__(self, code: str, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class GaveUp(ClientError):
    """A stream could not be resumed in as many attempts as it may take. ``__cause__`` is what the last one met.

    Attributes:
        attempts: How many there were since the stream last worked.
    """

    def __init__(self, attempts: int, last: ClientError) -> None:
        super().__init__(f"gave up after {attempts} attempts: {last.detail}")
        self.attempts = attempts


class StreamOver(ClientError):
    """``recv`` and ``try_recv`` found the stream at its end."""


class NothingYet(ClientError):
    """``try_recv`` found no event that had come already."""
