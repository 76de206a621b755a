"""Which media type answers a request (RFC 9110 §12.5.1)."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request

from app.api.errors import HeadersTooLarge, NotAcceptable

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
JSON = "application/json"
YAML = "application/yaml"
HTML = "text/html"

MAX_ACCEPT_CHARACTERS = 4_096


def choose(accept: str | None, offered: Sequence[str]) -> str:
    """Return the offer that the header likes best; between equals the one it names first, else the first offer.

    An absent or empty header takes anything.

    Raises:
        NotAcceptable: Nothing on offer satisfies it.
        HeadersTooLarge: It is longer than ``MAX_ACCEPT_CHARACTERS``.
    """
    if accept is None or not accept.strip():
        return offered[0]
    if len(accept) > MAX_ACCEPT_CHARACTERS:
        raise HeadersTooLarge(f"Accept has more than {MAX_ACCEPT_CHARACTERS:,} characters")
    ranges = [_range(position, part) for position, part in enumerate(accept.split(",")) if part.strip()]
    best: tuple[float, int, int] | None = None
    chosen = ""
    for order, media_type in enumerate(offered):
        fitting = [entry for entry in ranges if _fits(entry[0], media_type)]
        if not fitting:
            continue
        pattern, quality, position = max(fitting, key=lambda entry: (_specificity(entry[0]), -entry[2]))
        rank = (quality, -position if "*" not in pattern else -len(ranges), -order)
        if quality > 0 and (best is None or rank > best):
            best, chosen = rank, media_type
    if best is None:
        raise NotAcceptable("none of the accepted media types is offered", offered=list(offered))
    return chosen


def accepted(request: Request) -> str | None:
    """Return what a request accepts; several headers are one list (RFC 9110 §5.3)."""
    return ",".join(request.headers.getlist("accept")) or None


def accepts(*offered: str) -> Callable[[Request], Awaitable[str]]:
    """Make a dependency that gives the media type to answer in."""

    # A coroutine function, as all dependencies are: the framework calls others in a thread.
    async def negotiate(request: Request) -> str:
        # What is deleted is answered without a body: there is nothing to choose.
        return offered[0] if request.method == "DELETE" else choose(accepted(request), offered)

    return negotiate


def _range(position: int, part: str) -> tuple[str, float, int]:
    pattern, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            quality = _quality(value.strip())
    return pattern, quality, position


def _quality(text: str) -> float:
    digits = text.replace(".", "", 1)
    if not (text.isascii() and digits.isdigit() and len(text) <= 5):
        return 0.0
    return min(float(text), 1.0)


def _fits(pattern: str, media_type: str) -> bool:
    return pattern in ("*/*", media_type) or (pattern.endswith("/*") and media_type.startswith(pattern[:-1]))


def _specificity(pattern: str) -> int:
    return 0 if pattern == "*/*" else 1 if pattern.endswith("/*") else 2
