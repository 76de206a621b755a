"""What the kernel is told about the machine at the other end of a connection."""

import logging
import socket
from typing import Any

log = logging.getLogger(__name__)

NOTSENT_LOWAT_BYTES = 16 * 1024

_TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # Linux's number; Python names it from 3.12 on
_TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)  # likewise of Linux


def keep_unsent_small(connection: Any) -> None:
    """Let the kernel take no more than it can soon send: else a stalled client holds megabytes before it is noticed."""
    _set(connection, _TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)


def let_go_when_silent(connection: Any, after_s: float | None) -> None:
    """Lose the connection when what was sent is not acknowledged for so long (RFC 5482); None is the kernel's own time.

    A machine that acknowledges, but takes nothing since its client does not read, is silent, too.
    """
    _set(connection, _TCP_USER_TIMEOUT, 0 if after_s is None else max(1, round(after_s * 1000)))


def _set(connection: Any, option: int, value: int) -> None:
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    try:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
    except (OSError, ValueError):  # not every platform has it, and the connection may be gone (uvloop)
        log.debug("the option %d of TCP is not available", option)
