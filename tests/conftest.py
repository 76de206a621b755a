"""What holds for every test: marks, missing parts, profiles of Hypothesis, and no task left behind."""

import asyncio
import gc
import os
from collections import Counter
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from tests import parts

_SLOW_MACHINES_ARE_NO_FAILURE = [HealthCheck.too_slow]
_TURNS_TO_FINISH = 20
_required = pytest.StashKey[frozenset[str]]()
_MISSING = "missing part"

settings.register_profile(
    "default",
    deadline=None,
    max_examples=100,
    derandomize=True,  # the same examples on every machine: a failure is never somebody else's
    suppress_health_check=_SLOW_MACHINES_ARE_NO_FAILURE,
)
settings.register_profile(
    "long", deadline=None, max_examples=2_000, print_blob=True, suppress_health_check=_SLOW_MACHINES_ARE_NO_FAILURE
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked `long` too, and more examples")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("long" if config.getoption("--long") else "default")
    for name in [
        name for name in os.environ if name.startswith("GRAPHWIRE_") and not name.startswith("GRAPHWIRE_TEST_")
    ]:
        del os.environ[name]  # what a developer has set for a service must not reach the tests
    try:
        config.stash[_required] = parts.required(os.environ.get(parts.REQUIRE_VARIABLE, ""))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if unknown := [name for name in _needs(item) if name not in parts.PARTS]:
            raise pytest.UsageError(f"{item.nodeid} needs unknown parts: {', '.join(unknown)}")
    if config.getoption("--long"):
        return
    short = [item for item in items if item.get_closest_marker("long") is None]
    if len(short) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in set(short)])
        items[:] = short


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # thousands of tests live to the end: to look through them takes half a second each time


def pytest_runtest_setup(item: pytest.Item) -> None:
    missing = [name for name in _needs(item) if not parts.is_there(name)]
    if not missing:
        return
    if demanded := [name for name in missing if name in item.config.stash[_required]]:
        pytest.fail(f"{parts.REQUIRE_VARIABLE} demands {', '.join(demanded)}, which is not here", pytrace=False)
    item.user_properties += [(_MISSING, name) for name in missing]  # which reach the process that sums up
    pytest.skip(f"needs {', '.join(missing)}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    yield  # everything else first: these are the last lines of a run
    reports = terminalreporter.stats.get("skipped", [])
    skipped = Counter(name for report in reports for key, name in report.user_properties if key == _MISSING)
    if not skipped:
        return
    terminalreporter.section("skipped, because something is missing")
    for name, count in sorted(skipped.items()):
        tests = "1 test" if count == 1 else f"{count} tests"
        terminalreporter.write_line(f"{name}: {tests}. {parts.PARTS[name].how}")


def _needs(item: pytest.Item) -> list[str]:
    return sorted({str(name) for mark in item.iter_markers("needs") for name in mark.args})


@pytest.fixture
def corpora() -> Path:
    """The folder of the test data made by others; for tests marked ``needs("corpora")``."""
    return parts.corpora_folder()


@pytest.fixture
def postgresql_url() -> str:
    """The address of a PostgreSQL database; for tests marked ``needs("postgresql")``."""
    return parts.postgresql_url()


@pytest.fixture(autouse=True)
def _no_task_outlives_its_test(request: pytest.FixtureRequest) -> None:
    if pytest_asyncio.is_async_test(request.node):
        request.getfixturevalue("_watched_tasks")


@pytest_asyncio.fixture
async def _watched_tasks() -> AsyncIterator[None]:
    """Set up before a test's own fixtures, so it looks after they are gone."""
    before = asyncio.all_tasks()

    yield

    for _ in range(_TURNS_TO_FINISH):
        leaked = asyncio.all_tasks() - before - {asyncio.current_task()}
        if not leaked:
            return
        await asyncio.sleep(0)
    names = ", ".join(sorted(f"{task.get_name()} ({task.get_coro()!r})" for task in leaked))
    pytest.fail(f"tasks outlived their test: {names}", pytrace=False)
