"""Time and chance, as arguments: a test gives its own."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """What a client takes from its surroundings.

    Attributes:
        now: Seconds of a clock that never goes back.
        sleep: Waits so many seconds.
        random: Gives numbers in [0, 1).
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random
