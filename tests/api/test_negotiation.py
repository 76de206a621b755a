import pytest
from starlette.requests import Request

from app.api.errors import NotAcceptable
from app.api.negotiation import JSON, NDJSON, SSE, choose, choose_coding
from app.transports.compression import CODINGS

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


@pytest.mark.bad_input(79)
@pytest.mark.parametrize(
    ("accept_encoding", "chosen"),
    [
        ([], None),
        ([""], None),
        (["identity"], None),
        (["*"], None),
        (["br, deflate"], None),
        (["nonsense;;;=,;q,"], None),
        (["gzip;q=0"], None),
        (["gzip;q=0, *"], None),
        (["gzip;q=x"], None),
        (["gzip;q=2"], None),
        (["gzip;q=-1"], None),
        (["gzip;q=0.5555"], None),
        (["gzip;level=9"], None),
        (["gzip, gzip;q=0"], None),
        (["identity;q=0"], None),
        (["*;q=0"], None),
        (["identity, gzip;q=0.5"], None),
        (["gzip"], "gzip"),
        (["GZIP"], "gzip"),
        (["x-gzip"], "gzip"),
        (["gzip ; Q=0.001"], "gzip"),
        (["gzip, deflate, br, zstd"], "gzip"),
        (["zstd, gzip"], "gzip"),
        (["gzip;q=0.8, zstd;q=1.0"], "zstd"),
        (["gzip;q=0, zstd"], "zstd"),
        (["zstd;q=0, gzip;q=0.1, *"], "gzip"),
        (["identity;q=0.5, gzip;q=0.5"], "gzip"),
        (["br", "gzip"], "gzip"),
    ],
)
def test_a_content_coding_is_used_only_where_it_is_asked_for(accept_encoding: list[str], chosen: str | None) -> None:
    headers = [(b"accept-encoding", value.encode()) for value in accept_encoding]

    assert choose_coding(Request({"type": "http", "headers": headers}), CODINGS) == chosen
