"""What is drawn for an execution: its id, which sorts by the time at which it was made, and its seed."""

import os
import secrets

from graphwire.clock import Clock
from graphwire.types import ExecutionId


def new_execution_id(clock: Clock) -> ExecutionId:
    """Return a UUID of version 7 (RFC 9562 §5.7) in its usual text form: 48 bits of milliseconds, 74 random bits."""
    random = int.from_bytes(os.urandom(10))
    milliseconds = clock.wall_ns() // 1_000_000 & (1 << 48) - 1
    value = milliseconds << 80 | 0x7 << 76 | (random >> 62 & 0xFFF) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    text = f"{value:032x}"
    return ExecutionId(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")


def draw_seed() -> int:
    """Return a seed of 53 bits: what JavaScript and many a JSON reader take for another number is of no use to them."""
    return secrets.randbits(53)
