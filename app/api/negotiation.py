"""Which media type and which content coding answer a request (RFC 9110 §12.5)."""

import re
from collections.abc import Awaitable, Callable, Collection, Sequence

from starlette.requests import Request

from app.api.errors import HeadersTooLarge, NotAcceptable

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
JSON = "application/json"
YAML = "application/yaml"
HTML = "text/html"

MAX_ACCEPT_CHARACTERS = 4_096

_QVALUE = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


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


def choose_coding(request: Request, offered: Collection[str]) -> str | None:
    """Return the content coding that a request likes best, between equals the one offered first; None for identity.

    A coding has to be named: ``*`` is no wish for any, and a quality that is none (RFC 9110 §12.4.2) refuses. Nothing
    is an error, since identity always serves.
    """
    qualities: dict[str, float] = {}
    for part in ",".join(request.headers.getlist("accept-encoding")).lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            quality = float(value) if key == "q" and _QVALUE.fullmatch(value) else 0.0
        name = name.removeprefix("x-")
        qualities[name] = min(quality, qualities.get(name, 1.0))
    liked = {name: qualities[name] for name in offered if qualities.get(name, 0.0) > 0}
    best = max(liked, key=lambda name: liked[name], default=None)
    return best if best is not None and liked[best] >= qualities.get("identity", 0.0) else None


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
