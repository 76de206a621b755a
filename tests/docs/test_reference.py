"""The reference pages agree with the code."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from app.api import problems
from app.main import create_app
from app.settings import Settings
from graphwire.engine.policies.failure import CODES_BY_CAUSE
from graphwire.engine.reducers import BUILTINS
from graphwire.errors import GraphwireError, NodeError
from graphwire.events.notices import Notice, NoticeData
from graphwire.events.schema import stream_schema
from graphwire.events.service_types import ServiceEvent
from graphwire.events.types import Event, EventData
from graphwire.graphs.expression_functions import FUNCTIONS, METHODS
from graphwire.nodes import builtin_registry
from tests.docs.generated import PAGES
from tests.docs.tables import REFERENCE, names, rows

DOCS = REFERENCE.parent
TESTS = Path(__file__).resolve().parent.parent
KINDS: tuple[type[EventData] | type[NoticeData], ...] = (*get_args(Event), *get_args(Notice))
OUTSIDE_THE_API = {"GET /", "GET /docs", "GET /docs/websocket", "GET /openapi.json"}
CODES_WITHOUT_A_CLASS = {"recovery_limit_exceeded", "producer_lost", "max_steps_exceeded"}


def fields(event: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(event)]


def subclasses(error: type[GraphwireError]) -> Iterator[type[GraphwireError]]:
    for subclass in error.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def codes_of_failed_attempts() -> set[str]:
    return {NodeError.code, *(error.code for error in subclasses(NodeError))}


def documented(*columns: str) -> dict[str, tuple[int, list[str]]]:
    return {row["type"]: (int(row["code"]), names(row["data"])) for row in rows("wire.md", *columns)}


@pytest.mark.capability("EVT-03")
def test_table_of_events_and_notices_is_what_the_types_say() -> None:
    assert documented("type", "code", "data", "when") == {kind.type: (kind.code, fields(kind)) for kind in KINDS}


def test_table_of_events_of_the_service_is_what_the_types_say() -> None:
    listed = {
        row["topic"]: (int(row["code"]), names(row["data"])) for row in rows("wire.md", "topic", "code", "data", "when")
    }

    assert listed == {event.topic: (event.code, fields(event)) for event in get_args(ServiceEvent)}


def test_no_two_events_share_a_code() -> None:
    codes = Counter(kind.code for kind in (*KINDS, *get_args(ServiceEvent)))

    assert [code for code, count in codes.items() if count > 1] == []


def test_union_of_events_leaves_no_event_class_out() -> None:
    assert set(get_args(Event)) == set(EventData.__subclasses__())


def test_table_of_routes_is_what_the_service_offers() -> None:
    paths = create_app(Settings()).openapi()["paths"]
    offered = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}

    cells = " ".join(row["route"] for row in rows("wire.md", "route", "what it does"))
    listed = {re.sub(r"\?.*", "", route) for route in re.findall(r"(?:GET|POST|PUT|PATCH|DELETE) [^ ,]+", cells)}

    assert {_shape(route) for route in listed - OUTSIDE_THE_API} == {_shape(route) for route in offered}


def _shape(route: str) -> str:
    return re.sub(r"\{\w+\}", "{}", route)


def test_every_problem_code_is_listed_with_its_status() -> None:
    in_answers = {kind.code: kind.status for kind in problems.kinds().values() if kind.status is not None}

    listed = {row["code"]: int(row["status"]) for row in rows("wire.md", "code", "status", "meaning")}

    assert listed == in_answers


def test_every_code_of_a_failed_attempt_is_listed() -> None:
    listed = {row["code"] for row in rows("wire.md", "code", "meaning")}

    assert listed == codes_of_failed_attempts() | CODES_WITHOUT_A_CLASS | CODES_BY_CAUSE


def test_table_of_node_types_is_what_is_registered() -> None:
    registry = builtin_registry()
    registered = {name: set(registry.get(name).config.model_json_schema()["properties"]) for name in registry.names()}  # type: ignore[union-attr]  # it names what it has

    listed = {
        row["type"]: set(re.findall(r"(?:^|, )(\w+)(?= \(|,|$)", row["config"]))
        for row in rows("semantics.md", "type", "config", "what it does")
    }

    assert listed == registered


def test_table_of_reducers_is_what_there_is() -> None:
    listed = {
        name
        for row in rows("semantics.md", "reducer", "what a write makes of the key")
        for name in names(row["reducer"])
    }

    assert listed == set(BUILTINS)


def test_every_function_of_expressions_is_listed() -> None:
    text = (REFERENCE / "semantics.md").read_text(encoding="utf-8")
    lists = re.findall(r"the (?:functions|text methods) `([a-z ]+)`", text)

    assert [set(names.split()) for names in lists] == [
        {"has", *FUNCTIONS},
        set(METHODS),
    ]  # `has` is a form: it does not evaluate its argument


def test_every_field_of_events_and_notices_has_a_meaning() -> None:
    definitions = stream_schema()["$defs"]

    assert [
        f"{kind.__name__}.{name}"
        for kind in (*KINDS, *get_args(ServiceEvent))
        for name, shape in definitions[kind.__name__].get("properties", {}).items()
        if not shape.get("description")
    ] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_page_that_is_written_from_the_code_is_what_the_code_says(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path](), "run `make docs`"


def test_rows_of_bad_input_are_those_that_tests_prove() -> None:
    listed = {int(row["#"]) for kind in ("input", "fault") for row in rows("bad-input.md", "#", kind, "expected")}

    sources = (path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    proven = {
        int(row)
        for source in sources
        for marked in re.findall(r"mark\.bad_input\(([\d, ]+)\)", source)
        for row in marked.split(",")
    }

    assert listed == proven


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", prose):
        linked = (path.parent / target) if target else path
        assert linked.is_file(), target
        headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.M)
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}, anchor
