"""The tests' own ground: a leaked task, a missing part and a long test are treated as promised."""

import pytest

from tests import parts

pytest_plugins = ["pytester"]

CONFTEST = "from tests.conftest import *\nfrom tests.conftest import _no_task_outlives_its_test, _watched_tasks\n"
SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
markers =
    needs
    long
"""


@pytest.fixture
def project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> pytest.Pytester:
    """An empty project with the conftest of this one."""
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    monkeypatch.delenv("GRAPHWIRE_TEST_REQUIRE", raising=False)
    pytester.makeini(SETTINGS)
    pytester.makeconftest(CONFTEST)
    return pytester


@pytest.mark.parametrize("given", ["", "@given(st.booleans())"])
def test_task_that_outlives_its_test_is_an_error(project: pytest.Pytester, given: str) -> None:
    argument = "flag" if given else ""
    project.makepyfile(f"""
        import asyncio
        from hypothesis import given, strategies as st
        kept = []

        {given}
        async def test_leaks({argument}):
            kept.append(asyncio.create_task(asyncio.Event().wait(), name="forgotten"))
    """)

    result = project.runpytest_subprocess()

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["tasks outlived their test: forgotten*"])


def test_task_that_a_fixture_ends_is_no_error(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import asyncio
        import pytest

        @pytest.fixture
        async def server():
            task = asyncio.create_task(asyncio.Event().wait())
            yield
            task.cancel()

        async def test_uses_it(server):
            assert True
    """)

    project.runpytest_subprocess().assert_outcomes(passed=1)


def test_missing_part_skips_and_the_last_lines_say_how_to_get_it(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHWIRE_TEST_CORPORA", "nowhere")
    project.makepyfile("""
        import pytest

        @pytest.mark.needs("corpora")
        def test_reads_them(): ...
    """)

    result = project.runpytest_subprocess("-ra")

    result.assert_outcomes(skipped=1)
    assert result.outlines[-2].startswith("corpora: 1 test. Name the folder")


def test_missing_part_that_is_demanded_is_an_error(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHWIRE_TEST_CORPORA", "nowhere")
    monkeypatch.setenv("GRAPHWIRE_TEST_REQUIRE", "nats, corpora")
    project.makepyfile("""
        import pytest

        @pytest.mark.needs("corpora")
        def test_reads_them(): ...
    """)

    project.runpytest_subprocess().assert_outcomes(errors=1)


def test_all_demands_every_part_and_an_unknown_demand_is_refused() -> None:
    assert parts.required("") == frozenset()
    assert parts.required("all") == frozenset(parts.PARTS)
    assert parts.required("nats,postgresql") == {"nats", "postgresql"}
    with pytest.raises(ValueError, match="unknown parts: crystal_ball"):
        parts.required("nats,crystal_ball")


def test_unknown_part_is_refused_before_anything_runs(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import pytest

        @pytest.mark.needs("crystal_ball")
        def test_sees(): ...
    """)

    result = project.runpytest_subprocess()

    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_long_test_runs_only_when_asked_for(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import pytest

        @pytest.mark.long
        def test_takes_an_hour(): ...

        def test_takes_a_moment(): ...
    """)

    project.runpytest_subprocess().assert_outcomes(passed=1, deselected=1)
    project.runpytest_subprocess("--long").assert_outcomes(passed=2)
