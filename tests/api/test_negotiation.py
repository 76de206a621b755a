import pytest

from app.api.errors import NotAcceptable
from app.api.negotiation import JSON, NDJSON, SSE, choose

OFFERED = (SSE, NDJSON, JSON)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, SSE),
        ("", SSE),
        ("*/*", SSE),
        ("text/event-stream", SSE),
        ("TEXT/Event-Stream", SSE),
        ("text/*", SSE),
        ("application/x-ndjson", NDJSON),
        ("application/json", JSON),
        ("application/json, */*;q=0.1", JSON),
        ("application/json;q=0.5, application/x-ndjson;q=0.9", NDJSON),
        ("application/json, application/x-ndjson", JSON),
        ("text/event-stream;q=0, */*", NDJSON),
        ("text/html, application/xhtml+xml, */*;q=0.8", SSE),
        ("application/json; charset=utf-8", JSON),
        (", ,application/json,,", JSON),
    ],
)
def test_the_best_liked_of_what_is_offered_is_chosen(accept: str | None, chosen: str) -> None:
    assert choose(accept, OFFERED) == chosen


@pytest.mark.bad_input(56)
@pytest.mark.parametrize(
    "accept", ["image/png", "nonsense", "*/*;q=0", "application/json;q=0", "text/html;q=x", "*/json"]
)
def test_what_nothing_satisfies_is_refused_with_the_list(accept: str) -> None:
    with pytest.raises(NotAcceptable) as caught:
        choose(accept, OFFERED)

    assert caught.value.facts["offered"] == list(OFFERED)
