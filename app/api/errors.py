"""Errors that only exist over HTTP."""

from graphwire.errors import GraphwireError


class BadRequest(GraphwireError):
    """A request cannot be read."""

    code, title = "bad_request", "Bad request"


class InvalidIdempotencyKey(BadRequest):
    """A request's ``Idempotency-Key`` is not 1 to 255 printable ASCII characters, or there are two."""

    code, title = "invalid_idempotency_key", "Invalid Idempotency-Key"


class MethodNotAllowed(GraphwireError):
    """The address exists, but not for this method. ``allowed`` has those that it takes."""

    code, title = "method_not_allowed", "Method not allowed"


class NotAcceptable(GraphwireError):
    """No media type on offer satisfies the request's ``Accept``. ``offered`` has those that there are."""

    code, title = "not_acceptable", "Not acceptable"


class BodyTooLarge(GraphwireError):
    """A request's body is larger than ``limit`` bytes. It was not read to its end, and the connection closes."""

    code, title = "body_too_large", "Body too large"


class UnsupportedMediaType(GraphwireError):
    """A request's body is not of a type that the address takes; ``allowed`` has those."""

    code, title = "unsupported_media_type", "Unsupported media type"


class UnsupportedCompression(GraphwireError):
    """A request's body is compressed, which is not taken."""

    code, title = "unsupported_compression", "Unsupported compression"


class UseLocation(GraphwireError):
    """A start was repeated with ``Last-Event-ID``: resume at the ``Location`` of the first answer instead.

    With the ``Idempotency-Key`` of the first request it would be answered with the same stream.
    Starting again would begin a second execution, so nothing was started.
    """

    code, title = "use_location", "Resume at Location"
