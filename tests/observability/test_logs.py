import io
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.observability.logs import LogFormat, logging_to
from app.settings import Settings, secrets_of
from tests.live.serving import serving

log = logging.getLogger("app.example")


@pytest.fixture(autouse=True)
def loggers_are_listened_to() -> Iterator[None]:
    """Nothing of these tests stays in the process."""
    before = logging.getLogger().handlers[:]
    yield
    assert logging.getLogger().handlers == before


def logged(format: LogFormat = "text", **options: Any) -> str:
    stream = io.StringIO()
    with logging_to(stream, format=format, **options):
        log.debug("no such detail")
        log.warning("the file %s is odd", "a\nb\x1b[31m", extra={"execution_id": "0199", "api_key": "k-123"})
    return stream.getvalue()


def test_a_line_for_programs_is_an_object() -> None:
    line = json.loads(logged("json"))

    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "app.example",
        "event": "the file a\nb\x1b[31m is odd",
        "execution_id": "0199",
        "api_key": "***",
    }


def test_text_from_outside_neither_begins_a_line_nor_speaks_to_the_terminal() -> None:
    text = logged()

    assert text.count("\n") == 1
    assert "the file a\\u000ab\\u001b[31m is odd" in text
    assert "execution_id=0199" in text


FORGED = "x\n2026-11-21T00:00:00.000Z [error] forged\x1b[2J\x9b2J\r\u2028"


def log_what_came_from_outside() -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        log.exception("boom", extra={FORGED: 1, "nested": {FORGED: [FORGED, {"deep": FORGED}]}, "object": Path(FORGED)})
    log.warning("stack", stack_info=True, extra={"exception": FORGED, "stack": FORGED})
    log.warning("after")


def test_no_traceback_key_or_nested_value_looks_like_a_line_or_speaks_to_the_terminal() -> None:
    stream = io.StringIO()

    with logging_to(stream):
        log_what_came_from_outside()

    lines = stream.getvalue().removesuffix("\n").split("\n")
    assert all(line.isprintable() for line in lines)
    assert [line.split()[2] for line in lines if line.startswith("2")] == ["boom", "stack", "after"]
    assert "    Traceback (most recent call last):" in lines
    assert "    ValueError: x" in lines
    assert "    2026-11-21T00:00:00.000Z [error] forged\\u001b[2J\\u009b2J\\u000d\\u2028" in lines


def test_a_line_for_programs_is_printable_and_says_the_same() -> None:
    stream = io.StringIO()

    with logging_to(stream, format="json"):
        log_what_came_from_outside()

    lines = stream.getvalue().removesuffix("\n").split("\n")
    assert all(line.isprintable() for line in lines)
    boom, _, after = map(json.loads, lines)
    assert boom["nested"] == {FORGED: [FORGED, {"deep": FORGED}]}
    assert boom["exception"].endswith(f"ValueError: {FORGED}")
    assert after["event"] == "after"


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.parametrize("secret", ['pa"ss\\word', "it's", "s3crét\nx", "\x1b[31m", "4711"])
def test_a_secret_is_masked_whatever_it_is_made_of(format: LogFormat, secret: str) -> None:
    stream = io.StringIO()

    with logging_to(stream, format=format, secrets=[secret]):
        try:
            raise ValueError(f"for {secret}")
        except ValueError:
            log.exception("by %s and %r", secret, secret, extra={"url": f"a://{secret}@b", "all": [{"k": secret}]})
        log.warning("key", extra={secret: 1})

    written = stream.getvalue()
    assert written.count("***") == 6
    for form in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], secret.replace("\x1b", "\\u001b")):
        assert form not in written
    if format == "json":
        assert [json.loads(line)["level"] for line in written.splitlines()] == ["error", "warning"]


def test_a_secret_is_masked_wherever_it_stands() -> None:
    assert "is odd" not in logged(secrets=["is odd"])
    assert "***" in logged(secrets=["is odd"])


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("postgresql://me:hidden@host/db", ["hidden"]),
        ("postgresql://me:hid%40den@host/db", ["hid%40den", "hid@den"]),
        ("postgresql://host/db?password=hidden", ["hidden"]),
        ("postgresql://me:hidden@[::1/db", ["postgresql://me:hidden@[::1/db"]),
        ("sqlite:///file.db", []),
    ],
)
def test_the_secrets_of_the_settings_are_its_keys_and_the_password_of_the_database(
    monkeypatch: pytest.MonkeyPatch, url: str, secrets: list[str]
) -> None:
    monkeypatch.setenv("GRAPHWIRE_DATABASE_URL", url)

    assert sorted(secrets_of(Settings())) == secrets


def test_what_cannot_be_shown_is_said_instead_of_raised() -> None:
    stream = io.StringIO()

    with logging_to(stream):
        log.warning("%d items", "many")

    assert "%d items (its arguments cannot be shown: TypeError)" in stream.getvalue()


class _Broken(io.StringIO):
    """A stream that takes nothing until it is mended."""

    is_broken = True

    def write(self, text: str) -> int:
        if self.is_broken:
            raise BrokenPipeError
        return super().write(text)


@pytest.mark.bad_input(140)
def test_lines_that_the_stream_does_not_take_are_counted_and_told_later() -> None:
    stream = _Broken()
    tried = threading.Event()

    with logging_to(stream):
        root = logging.getLogger().handlers[0]
        log.warning("one")
        log.warning("two")
        while getattr(root, "dropped", 0) < 2:
            tried.wait(0.001)
        stream.is_broken = False
        log.warning("three")

    assert "2 log lines were dropped" in stream.getvalue().splitlines()[0]
    assert "three" in stream.getvalue().splitlines()[1]


class _Stuck(io.StringIO):
    """A stream whose first write waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.is_writing = threading.Event()
        self.may_go_on = threading.Event()

    def write(self, text: str) -> int:
        self.is_writing.set()
        self.may_go_on.wait(10)
        return super().write(text)


@pytest.mark.bad_input(140)
def test_a_stream_that_hangs_holds_up_nobody_who_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.observability.logs.MAX_WAITING", 5)
    stream = _Stuck()

    with logging_to(stream):
        log.warning("first")
        stream.is_writing.wait(10)
        for number in range(20):
            log.warning("further %d", number)
        stream.may_go_on.set()

    assert "further 0" in stream.getvalue()
    assert "log lines were dropped" in stream.getvalue()


async def test_each_request_is_logged_with_its_id_and_without_its_query(tmp_path: Path) -> None:
    stream = io.StringIO()

    with logging_to(stream, format="json"):
        async with serving(tmp_path, access_log=True) as service:
            answer = await service.client.get("/graphs?q=hidden")

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    (line,) = [line for line in lines if line["event"] == "request" and line["path"] == "/graphs"]
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert (line["method"], line["status"], line["bytes"]) == ("GET", 200, len(answer.content))
    assert "hidden" not in json.dumps([line for line in lines if line["logger"] != "httpx"])
