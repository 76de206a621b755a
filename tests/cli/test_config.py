import json

from tests.cli.command import graphwire


def test_every_setting_is_shown_with_where_it_comes_from_and_no_secret() -> None:
    url = "postgresql://me:hidden@host/db"

    done = graphwire("config", "show", "--json", GRAPHWIRE_PORT="9000", GRAPHWIRE_DATABASE_URL=url)

    rows = {row["variable"]: row for row in json.loads(done.stdout)["settings"]}
    assert rows["GRAPHWIRE_PORT"] == {"variable": "GRAPHWIRE_PORT", "value": 9000, "from": "environment"}
    assert rows["GRAPHWIRE_HOST"]["from"] == "default"
    assert "hidden" not in done.stdout


def test_the_same_is_shown_as_a_table() -> None:
    lines = graphwire("config", "show", GRAPHWIRE_PORT="9000").stdout.splitlines()

    assert ["GRAPHWIRE_PORT", "9000", "environment"] in [line.split() for line in lines]


def test_all_wrong_settings_are_named_at_once() -> None:
    done = graphwire("serve", "--port", "99999999", GRAPHWIRE_HEARTBEAT_S="fast", GRAPHWIRE_MAX_NODES="0")

    assert done.returncode == 2
    assert [line.split(":")[1].strip() for line in done.stderr.splitlines()] == [
        "--port",
        "GRAPHWIRE_MAX_NODES",
        "GRAPHWIRE_HEARTBEAT_S",
    ]


def test_a_misspelt_setting_is_warned_about() -> None:
    done = graphwire("config", "show", GRAPHWIRE_HEARTBEATS="5")

    assert "did you mean GRAPHWIRE_HEARTBEAT_S?" in done.stderr


def test_the_version_is_told_and_completion_is_offered() -> None:
    assert graphwire("--version").stdout.startswith("graphwire ")
    assert "complete" in graphwire("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1").stdout


def test_the_refusal_to_start_openly_says_line_by_line_what_to_do() -> None:
    done = graphwire("serve", "--host", "0.0.0.0", "--port", "0")

    assert done.returncode == 2
    first, *more = done.stderr.splitlines()
    assert first.startswith("error: Other machines can reach 0.0.0.0, and no key is set")
    assert more[0].partition(":")[0] == "Set a key"
