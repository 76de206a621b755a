"""Which names of the service a request may use, and which pages may send one."""

import re
from functools import lru_cache
from ipaddress import ip_address

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

_HOST = re.compile(rb"([a-z0-9_-][a-z0-9._-]*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9_-][a-z0-9._-]*|\[[0-9a-f:.]+\]")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9_-][a-z0-9._-]*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_DEFAULT_PORT = {"http": ":80", "https": ":443"}


def is_loopback(address: str) -> bool:
    """Return whether only this machine can reach what listens on an address. A name that is not known is none."""
    if address == "localhost":
        return True
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=256)
def is_address(name: str) -> bool:
    """Return whether the name of a host is an address (RFC 9110 §7.2), in brackets where it is IPv6."""
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


@lru_cache(maxsize=256)
def host_name(host: bytes) -> str | None:
    """Return the name in a ``Host`` header, without port and in small letters; None where it is no host."""
    match = _HOST.fullmatch(host)
    return match[1].decode().lower() if match else None


def read_host_name(text: str) -> str:
    """Return a name as it is compared.

    Raises:
        ValueError: It is no name of a host, or has a port.
    """
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise ValueError("a host is a name or an address, without scheme and port, such as graphs.example.com")
    return name


def read_origin(text: str) -> str:
    """Return an origin as browsers write it.

    Raises:
        ValueError: It is none.
    """
    origin = text.strip().lower()
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(
            "an origin is scheme://host or scheme://host:port, without a path, such as https://example.com"
        )
    return origin.removesuffix(_DEFAULT_PORT[origin.partition(":")[0]])
