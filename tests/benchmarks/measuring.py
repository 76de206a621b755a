"""Contenders measured in turn, so that a machine that drifts does so under all of them, and their spread."""

import gc
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

Sample = Callable[[], Awaitable[float]]
"""Does the work once and returns what it cost, in the unit of the table: seconds per node, events per second."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that is measured.

    Attributes:
        best_of: How many times the work is done for one value: the best counts, since nothing makes it quicker than
            it is and much makes it slower.
    """

    name: str
    sample: Sample
    best_of: int = 3
    more_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """One value per repeat."""

    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    def over(self, base: "Series") -> "Series":
        """Return the ratios of the values to those of the same repeats of a base."""
        return Series([value / other for value, other in zip(self.values, base.values, strict=True)])

    def spread(self, scale: float = 1.0, form: str = ".3g") -> str:
        """Write the median with the least and the greatest value."""
        return " ".join(
            (
                f"{self.median * scale:{form}}",
                f"({self.low * scale:{form}}-{self.high * scale:{form}})",
            )
        )


def combined(parts: Sequence[tuple[float, Series]]) -> Series:
    """Add series up, each weighted, repeat by repeat: what a budget of several parts allows."""
    rows = zip(*(series.values for _, series in parts), strict=True)
    weights = [weight for weight, _ in parts]
    return Series([math.fsum(weight * value for weight, value in zip(weights, row, strict=True)) for row in rows])


async def interleave(contenders: Sequence[Contender], *, repeats: int) -> dict[str, Series]:
    """Measure all contenders in turn, each repeat beginning with another one. A first round is thrown away."""
    measured: dict[str, Series] = {contender.name: Series() for contender in contenders}
    for contender in contenders:
        await _value(contender)
    gc.collect()
    gc.freeze()  # what is there to stay, above all what peers import, is not looked at again by every collection
    try:
        for repeat in range(repeats):
            first = repeat % len(contenders)
            for contender in (*contenders[first:], *contenders[:first]):
                measured[contender.name].values.append(await _value(contender))
    finally:
        gc.unfreeze()
    return measured


async def _value(contender: Contender) -> float:
    values = []
    for _ in range(contender.best_of):
        gc.collect()
        values.append(await contender.sample())
    return max(values) if contender.more_is_better else min(values)


class Stopwatch:
    """Times a block: ``with Stopwatch() as watch: ...``.

    Attributes:
        seconds: What went by.
        cpu_s: What this process computed, all of its threads: the same for work that never waits, but not disturbed
            by what else the machine does.
    """

    __slots__ = ("_cpu_started", "_started", "cpu_s", "seconds")

    def __init__(self) -> None:
        self.seconds = self.cpu_s = 0.0

    def __enter__(self) -> "Stopwatch":
        self._cpu_started = time.process_time()
        self._started = time.perf_counter()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.seconds = time.perf_counter() - self._started
        self.cpu_s = time.process_time() - self._cpu_started
