import json

import pytest
from hypothesis import given, strategies as st

from app.api import errors, problems
from graphwire.errors import (
    AtCapacity,
    CommandNotAllowed,
    GraphInvalid,
    GraphwireError,
    InvalidInput,
    MalformedInput,
    NodeError,
    Problem,
    ShuttingDown,
    TooDeep,
    UnknownNodeType,
)

any_text = st.text(st.characters(), max_size=2_000)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (GraphInvalid, 422),
        (UnknownNodeType, 422),
        (MalformedInput, 400),
        (TooDeep, 422),
        (AtCapacity, 429),
        (ShuttingDown, 503),
        (errors.BodyTooLarge, 413),
        (NodeError, 500),
        (GraphwireError, 500),
    ],
)
def test_an_error_has_the_status_of_its_nearest_kind(error: type[GraphwireError], status: int) -> None:
    assert problems.status_of(error) == status


def test_facts_are_members_but_never_hide_those_of_a_problem() -> None:
    error = CommandNotAllowed("cannot cancel", status="completed", allowed=["fork"], code="mine", limit=3)

    body = problems.body_of(error, "r1", 409)

    assert (body["status"], body["code"], body["current"]) == (409, "command_not_allowed", "completed")
    assert (body["allowed"], body["limit"]) == (["fork"], 3)


def test_at_most_a_hundred_problems_are_listed_and_the_rest_counted() -> None:
    found = [Problem(f"/{n}", "wrong", "this is wrong", line=n, column=1) for n in range(250)]

    body = problems.body_of(InvalidInput("wrong", found), "r1", 422)
    flood = problems.body_of(InvalidInput("wrong", found, left_out=7_000), "r1", 422)

    assert len(body["errors"]) == len(flood["errors"]) == 100
    assert (body["errors_left_out"], flood["errors_left_out"]) == (150, 7_150)
    assert body["errors"][7] == {"pointer": "/7", "code": "wrong", "detail": "this is wrong", "line": 7, "column": 1}


@given(detail=any_text, pointer=any_text, fact=any_text)
def test_any_text_can_be_told(detail: str, pointer: str, fact: str) -> None:
    error = InvalidInput(detail, [Problem(pointer, "wrong", detail)], fact=fact, odd=object())

    answer = problems.render(error, "r1")

    body = json.loads(bytes(answer.body))
    assert answer.status_code == 422
    assert body["detail"].isprintable()
    assert body["errors"][0]["pointer"].isprintable()
    assert len(answer.body) < 200_000


def test_what_is_over_for_now_says_when_to_try_again() -> None:
    assert int(problems.render(ShuttingDown("later"), "r1").headers["retry-after"]) > 0
    assert int(problems.render(AtCapacity("later"), "r1").headers["retry-after"]) > 0


def test_a_body_that_was_not_read_to_its_end_closes_the_connection() -> None:
    assert problems.render(errors.BodyTooLarge("too large"), "r1").headers["connection"] == "close"
