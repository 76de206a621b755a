"""Thousands of executions, each with crashes, a slow and failing store, people who steer, and readers who come and go.

A seed that fails is played again by ``python -m tests.services.simulation SEED``.
"""

from collections.abc import Iterable

import pytest

from tests.services.simulation.simulation import check, check_same, play_once
from tests.services.simulation.virtual_time import VirtualLoop

BLOCKS = 10
REGRESSIONS = (1225, 1300, 7597, 12135)
"""Seeds that once failed."""


@pytest.mark.bad_input(128, 130, 135)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_whatever_goes_wrong_around_it_an_execution_ends_as_if_nothing_had(
    block: int, pytestconfig: pytest.Config
) -> None:
    seeds = (1_000_000 if pytestconfig.getoption("--long") else 10_000) // BLOCKS

    crashes = play_all(range(block * seeds, (block + 1) * seeds))

    assert crashes > seeds / 10


def test_what_once_went_wrong_goes_right() -> None:
    play_all(REGRESSIONS)


def play_all(seeds: Iterable[int]) -> int:
    """Play executions, each without faults and with them; return how many crashes there were."""
    loop = VirtualLoop()
    crashes = 0
    for seed in seeds:
        try:
            smooth, rough = (play_once(seed, faults=faults, loop=loop) for faults in (False, True))
            check(smooth)
            check(rough)
            check_same(smooth, rough)
        except BaseException as error:
            error.add_note(f"seed {seed}: python -m tests.services.simulation {seed}")
            raise
        crashes += rough.crashes
    loop.close()
    return crashes
