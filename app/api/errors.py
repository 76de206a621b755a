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


class AddressTooLong(GraphwireError):
    """A request's address has more than 8 KiB."""

    code, title = "address_too_long", "Address too long"


class HeadersTooLarge(GraphwireError):
    """A request has more than 100 headers, one of over 16 KiB, over 64 KiB of them, or too long an ``Accept``."""

    code, title = "headers_too_large", "Headers too large"


class Unauthorized(GraphwireError):
    """The service asks for a key, and the request has none or a wrong one.

    Send it as ``Authorization: Bearer <key>``.
    """

    code, title = "unauthorized", "Unauthorized"


class MisplacedKey(GraphwireError):
    """A request carries a key where it does not belong: in its address, or in two places at once.

    Addresses end up in logs and histories: take a key that stood in one for known, and change it.
    """

    code, title = "misplaced_key", "Misplaced key"


class TooManyFailures(GraphwireError):
    """Too many wrong keys came from this address within a minute; ``Retry-After`` says when it is heard again."""

    code, title = "too_many_failures", "Too many failures"


class OriginNotAllowed(GraphwireError):
    """A page of another origin sent the request. The operator names those that may in ``GRAPHWIRE_CORS_ORIGINS``."""

    code, title = "origin_not_allowed", "Origin not allowed"


class MisdirectedRequest(GraphwireError):
    """The request is for a host that this service is not.

    Without a key that is every name but those of the machine itself: a foreign page could else give its own name to
    this address. The operator names others in ``GRAPHWIRE_ALLOWED_HOSTS``.
    """

    code, title = "misdirected_request", "Misdirected request"


class WebSocketRequired(GraphwireError):
    """The address is a WebSocket's, and the request is no opening handshake of one (RFC 6455), version 13."""

    code, title = "websocket_required", "WebSocket required"


class NotAvailable(GraphwireError):
    """The service does not do this yet. A later version will, under the same name."""

    code, title = "not_available", "Not available yet"
