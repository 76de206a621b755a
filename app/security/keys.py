"""The keys of the service, and where a request may carry one."""

import binascii
import hmac
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from urllib.parse import unquote_plus

_KEY = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # what may follow ``Bearer``: RFC 9110 §11.2, token68
MIN_CHARACTERS = 16
SUBPROTOCOL = "bearer."
"""What a key follows in ``Sec-WebSocket-Protocol``: a browser can send no other header with a WebSocket."""

_PARAMETERS = frozenset({"api_key", "apikey", "api-key", "key", "token", "access_token"})


def read_keys(text: str) -> tuple[str, ...]:
    """Read keys that are separated by commas; empty text has none.

    Raises:
        ValueError: A key has characters that no ``Authorization`` header can carry, or so few that it can be guessed.
    """
    keys = tuple(part.strip() for part in text.split(",") if part.strip())
    if not all(_KEY.fullmatch(key) for key in keys):
        raise ValueError("a key is made of letters, digits and -._~+/ (make one with `openssl rand -hex 32`)")
    if any(len(key) < MIN_CHARACTERS for key in keys):
        raise ValueError(f"a key has at least {MIN_CHARACTERS} characters (make one with `openssl rand -hex 32`)")
    return keys


class Keys:
    """The keys that open the service. Comparing takes the same time whatever is offered."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [sha256(key.encode()).digest() for key in keys]

    def has(self, offered: bytes) -> bool:
        """Return whether this is one of the keys."""
        digest = sha256(offered).digest()
        return sum(hmac.compare_digest(digest, known) for known in self._digests) > 0  # all are compared


def offered_keys(headers: Mapping[bytes, bytes], subprotocols: Iterable[str] = ()) -> list[bytes]:
    """Return the keys that a request offers: as bearer, as the password of a browser's login, or as subprotocol."""
    found = [each.removeprefix(SUBPROTOCOL).encode() for each in subprotocols if each.startswith(SUBPROTOCOL)]
    authorization = headers.get(b"authorization")
    if authorization is not None:
        found.append(_credentials(authorization))
    return found


def _credentials(authorization: bytes) -> bytes:
    scheme, _, credentials = authorization.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return credentials.strip()
        case b"basic":
            try:
                return b64decode(credentials.strip(), validate=True).partition(b":")[2]
            except binascii.Error:
                return b""
        case _:
            return b""


def key_parameter(query: bytes) -> str | None:
    """Return the name of the first query parameter that is there to carry a key."""
    for part in query.split(b"&"):
        name = unquote_plus(part.partition(b"=")[0].decode("latin-1")).lower()
        if name in _PARAMETERS:
            return name
    return None
