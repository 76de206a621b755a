"""What a soaked server holds, sampled over time, and whether that grows."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Final

from tests.benchmarks.printing import say, table

_NOISE: Final = 0.02
"""A growth of less than this share is none: the allocator alone moves by more than nothing."""
_LEAST: Final = {"resident_mib": 2.0, "files": 3.0, "tasks": 3.0, "threads": 1.0}
"""Nor is one of so little, whatever the share."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process holds at a moment."""

    at_s: float
    resident_mib: float
    files: float
    tasks: float
    threads: float


FIGURES: Final = tuple(field.name for field in fields(Sample) if field.name != "at_s")


class Samples:
    """Samples in the order of time, since the first one."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.all: list[Sample] = []

    def add(self, *, resident_bytes: int, files: int, tasks: int, threads: int) -> Sample:
        """Add what was found now."""
        sample = Sample(time.monotonic() - self._began, resident_bytes / 2**20, files, tasks, threads)
        self.all.append(sample)
        return sample

    def show(self, before: Sample, after: Sample) -> bool:
        """Print the table; return whether nothing grows. The first quarter is warming up and does not count."""
        settled = self.all[len(self.all) // 4 :]
        third = max(1, len(settled) // 3)
        early, late = settled[:third], settled[-third:]
        rows, is_flat = [], True
        for name in FIGURES:
            value = _reader(name)
            first, last = _median(early, value), _median(late, value)
            grown = last - first
            is_small = grown <= max(_LEAST[name], _NOISE * first)
            is_flat = is_flat and is_small
            rows.append(
                (
                    name,
                    f"{value(before):.1f}",
                    f"{first:.1f}",
                    f"{last:.1f}",
                    f"{max(map(value, settled)):.1f}",
                    f"{slope([each.at_s for each in settled], list(map(value, settled))) * 3600:+.1f}",
                    "flat" if is_small else "GROWS",
                    f"{value(after):.1f}",
                )
            )
        heads = ("held by the server", "before", "early", "late", "most", "slope an hour", "", "after the load")
        table(heads, rows)
        say(
            f"{len(self.all)} samples; the first quarter is left out; early and late are medians of a third of the rest"
        )
        return is_flat


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Return by how much values rise a second (least squares); 0 where there is only one moment."""
    if len(set(times)) < 2:
        return 0.0
    return statistics.linear_regression(times, values).slope


def _reader(name: str) -> Callable[[Sample], float]:
    return lambda sample: float(getattr(sample, name))


def _median(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    return statistics.median(map(value, samples))
