import asyncio
import json
import threading
from pathlib import Path

import httpx
import pytest

from app.api import beside, bodies
from graphwire.graphs.documents import Document, Format, read_document
from tests.live.log_lines import log_lines
from tests.live.serving import Service, connection, request, serving

START = "/graphs/chain/execute"
COUNTED = {"id": "counted", "nodes": [{"id": "n", "type": "transform", "config": {"set": {"x": "1"}}}]}


async def refused(service: Service, body: bytes, path: str = START) -> tuple[int, dict[str, object]]:
    """Send a body that is to be refused; check that it is a problem, and that nothing was started."""
    answer = await service.client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await service.client.get("/executions")).json()["items"] == []
    return answer.status_code, answer.json()


@pytest.mark.bad_input(1)
async def test_what_is_no_json_is_refused_with_its_place(service: Service) -> None:
    for body in [b'{"state": {', b"{} {}", b"{}x", b"'", b"{,}", b"nul", b"   "]:
        status, problem = await refused(service, body)

        assert status == 400
        assert problem["code"] == "malformed_json"
        errors = problem["errors"]
        assert isinstance(errors, list)
        assert errors[0]["line"] == 1
        assert errors[0]["column"] >= 1


@pytest.mark.bad_input(1)
async def test_an_empty_body_is_refused_where_one_is_needed(service: Service) -> None:
    status, problem = await refused(service, b"", "/graphs")

    assert (status, problem["code"]) == (400, "malformed_json")


@pytest.mark.bad_input(2)
async def test_numbers_that_json_does_not_have_are_refused(service: Service) -> None:
    for number in [b"NaN", b"Infinity", b"-Infinity", b"1e400"]:
        status, _ = await refused(service, b'{"state": {"n": ' + number + b"}}")

        assert status == 400


@pytest.mark.bad_input(3)
async def test_whole_numbers_beyond_64_bits_are_refused_at_their_place(service: Service) -> None:
    for number in [str(2**63 + 1).encode(), b"9" * 10_000, b"-" + b"9" * 30]:
        status, problem = await refused(service, b'{"state": {"n": ' + number + b"}}")

        errors = problem["errors"]
        assert status == 422
        assert isinstance(errors, list)
        assert errors[0]["pointer"] == "/state/n"


@pytest.mark.bad_input(4)
async def test_a_key_given_twice_is_refused_at_its_place(service: Service) -> None:
    status, problem = await refused(service, b'{"state": {"a": 1, "a": 2}}')

    errors = problem["errors"]
    assert (status, problem["code"]) == (400, "duplicate_key")
    assert isinstance(errors, list)
    assert errors[0]["pointer"] == "/state/a"


@pytest.mark.bad_input(5)
async def test_nesting_that_is_too_deep_is_refused(service: Service) -> None:
    for depth in [101, 100_000]:
        status, problem = await refused(service, b'{"state": {"a": ' + b"[" * depth + b"]" * depth + b"}}")

        assert (status, problem["code"]) == (422, "too_deep")


@pytest.mark.bad_input(6)
async def test_what_is_no_utf_8_is_refused(service: Service) -> None:
    for body in [b'{"state": {"a": "\xff"}}', '{"state": {}}'.encode("utf-16")]:
        status, _ = await refused(service, body)

        assert status == 400


@pytest.mark.bad_input(6)
async def test_a_byte_order_mark_is_dropped(service: Service) -> None:
    body = b'\xef\xbb\xbf{"state": {"count": 1}}'
    answer = await service.client.post(START, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 202


@pytest.mark.bad_input(7)
async def test_a_lone_surrogate_is_refused_and_not_repeated(service: Service) -> None:
    for body in [rb'{"state": {"a": "\ud800"}}', rb'{"state": {"\udfff": 1}}', rb'{"\ud800": 1}']:
        status, problem = await refused(service, body)

        assert (status, problem["code"]) == (400, "invalid_text")
        assert json.dumps(problem).encode().isascii()


@pytest.mark.bad_input(8)
async def test_an_id_with_other_than_plain_characters_is_refused(service: Service) -> None:
    for name in ["a\x00b", "a\u202eb", "a\u200bb", "a b", "a/b", "\uff41"]:
        definition = {"id": name, "nodes": [{"id": "n", "type": "transform", "config": {"set": {}}}]}
        status, problem = await refused(service, json.dumps(definition).encode(), "/graphs")

        errors = problem["errors"]
        assert status == 422
        assert isinstance(errors, list)
        assert errors[0]["pointer"] == "/id"


@pytest.mark.bad_input(8)
async def test_a_name_with_any_characters_is_kept_and_escaped_where_it_is_shown(service: Service) -> None:
    name = "a\x00b\u202ec<script>alert(1)</script>"
    definition = {"id": "odd", "name": name, "nodes": [{"id": "n", "type": "transform", "config": {"set": {}}}]}

    created = await service.client.post("/graphs", json=definition)
    page = await service.client.get("/")

    assert created.status_code == 201
    assert created.json()["definition"]["name"] == name
    assert "\x00" not in page.text
    assert "\u202e" not in page.text
    assert "<script>" not in page.text


@pytest.mark.bad_input(11)
async def test_an_unknown_field_is_refused_with_the_nearest_known_name(service: Service) -> None:
    status, problem = await refused(service, b'{"sate": {}, "limits": {"max_step": 3}}')

    errors = problem["errors"]
    assert status == 422
    assert isinstance(errors, list)
    assert [error["pointer"] for error in errors] == ["/limits/max_step", "/sate"]
    assert '"max_steps"' in errors[0]["detail"]
    assert '"state"' in errors[1]["detail"]


@pytest.mark.bad_input(12)
async def test_wrong_types_are_refused_all_at_once(service: Service) -> None:
    body = {"state": [], "version": "5", "entry": {}, "seed": True, "limits": None, "detail": "loud", "metadata": None}
    status, problem = await refused(service, json.dumps(body).encode())

    errors = problem["errors"]
    assert (status, problem["code"]) == (422, "invalid_request")
    assert isinstance(errors, list)
    assert [error["pointer"] for error in errors] == [f"/{name}" for name in body]


@pytest.mark.bad_input(12)
async def test_a_body_that_is_no_object_is_refused(service: Service) -> None:
    for body in [b"[]", b"null", b"3", b'"text"']:
        status, problem = await refused(service, body)

        assert (status, problem["code"]) == (422, "invalid_request")


@pytest.mark.bad_input(19)
async def test_a_body_of_another_type_is_refused(service: Service) -> None:
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "",
        "json",
    ]:
        answer = await service.client.post(START, content=b"{}", headers={"Content-Type": media_type})

        assert answer.status_code == 415
        assert answer.json()["code"] == "unsupported_media_type"
        assert answer.json()["allowed"] == ["application/json"]


@pytest.mark.bad_input(19)
@pytest.mark.parametrize("body", [b'{"state": {}}', b"--x\r\n\r\n{}\r\n--x--\r\n", b"state=1"])
async def test_no_parser_is_guessed_from_what_a_body_looks_like(service: Service, body: bytes) -> None:
    for media_type in (None, "multipart/form-data; boundary=x", "text/json", "application/json, text/plain"):
        headers = {} if media_type is None else {"Content-Type": media_type}
        for path in (START, "/graphs"):
            answer = await service.client.post(path, content=body, headers=headers)

            assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), (path, media_type)


@pytest.mark.bad_input(19)
async def test_a_body_of_two_types_is_refused(service: Service) -> None:
    async with connection(service.port) as raw:
        await raw.send(request("POST", START, b"{}", Content_type="text/plain"))
        status, _, body = await raw.answer()

    assert (status, json.loads(body)["code"]) == (400, "bad_request")


@pytest.mark.bad_input(20)
async def test_forms_are_refused_before_anything_of_them_is_read(service: Service) -> None:
    parts = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n' * 10_000 + b"--x--\r\n"
    fields = b"a=b&" * 1_000_000
    for media_type, form in [("multipart/form-data; boundary=x", parts), ("application/x-www-form-urlencoded", fields)]:
        async with connection(service.port) as raw:
            head = request("POST", "/graphs", Content_Type=media_type, Content_Length=str(len(form)))
            await raw.send(head + form[:1_000])
            status, headers, body = await raw.answer()

        assert (status, headers["connection"]) == (415, "close")
        assert json.loads(body)["code"] == "unsupported_media_type"


@pytest.mark.bad_input(18)
@pytest.mark.parametrize("codings", [["gzip"], ["identity", "gzip"]])
async def test_a_compressed_body_is_refused(service: Service, codings: list[str]) -> None:
    headers = [("Content-Type", "application/json"), *(("Content-Encoding", coding) for coding in codings)]
    answer = await service.client.post(START, content=b"{}", headers=headers)

    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_compression"


@pytest.mark.bad_input(17)
async def test_a_body_whose_length_is_too_large_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    async with serving(tmp_path, max_body_bytes=2_000) as service, connection(service.port) as raw:
        head = request("POST", START, Content_Type="application/json", Content_Length="2001")
        await raw.send(head)

        status, headers = await raw.head()
        body = await raw.reader.read()  # to the end: the connection closes

    assert status == 413
    assert headers["connection"] == "close"
    assert json.loads(body)["code"] == "body_too_large"
    assert json.loads(body)["limit"] == 2_000


@pytest.mark.bad_input(17)
async def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large(tmp_path: Path) -> None:
    async with serving(tmp_path, max_body_bytes=2_000) as service, connection(service.port) as raw:
        head = request("POST", START, Content_Type="application/json", Transfer_Encoding="chunked")
        await raw.send(head + b"7d1\r\n" + b" " * 2_001 + b"\r\n")  # and no end

        status, headers = await raw.head()
        body = await raw.reader.read()

    assert status == 413
    assert headers["connection"] == "close"
    assert json.loads(body)["code"] == "body_too_large"


@pytest.mark.bad_input(17)
async def test_a_definition_has_a_limit_of_its_own(tmp_path: Path) -> None:
    async with serving(tmp_path, max_definition_bytes=1_024) as service:
        headers = {"Content-Type": "application/json"}
        answer = await service.client.post("/graphs", content=b" " * 1_025, headers=headers)

    assert answer.status_code == 413
    assert "GRAPHWIRE_MAX_DEFINITION_BYTES" in answer.json()["detail"]


@pytest.mark.bad_input(63)
async def test_a_client_that_leaves_in_the_middle_of_its_upload_starts_nothing(service: Service) -> None:
    with log_lines("app.api.middleware") as lines:
        async with connection(service.port) as raw:
            await raw.send(
                request("POST", START, Content_Type="application/json", Content_Length="500") + b'{"state": {'
            )
        await lines.until("(499)")

    assert (await service.client.get("/executions")).json()["items"] == []


def large(kind: str) -> tuple[bytes, dict[str, str]]:
    """A definition that is too large for the event loop, and its type."""
    nodes = [{"id": f"n{number}", "type": "transform", "config": {"set": {"x": "1"}}} for number in range(500)]
    text = json.dumps({"id": "large", "nodes": nodes}).encode()  # JSON is YAML
    return text, {"Content-Type": f"application/{kind}"}


@pytest.mark.bad_input(17)
async def test_large_bodies_that_are_read_keep_nothing_else_waiting_and_too_many_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, original = threading.Event(), read_document

    def slowly(data: bytes, format: Format, *, max_depth: int) -> Document:
        if format == "yaml":
            assert go.wait(10)
        return original(data, format, max_depth=max_depth)

    monkeypatch.setattr(bodies, "read_document", slowly)
    text, yaml = large("yaml")
    monkeypatch.setattr(beside, "MOST_BYTES", {**beside.MOST_BYTES, "yaml": 40 * len(text)})
    async with serving(tmp_path) as service:

        async def validate() -> httpx.Response:
            return await service.client.post("/graphs/validate", content=text, headers=yaml, timeout=30)

        try:
            asked = [asyncio.create_task(validate()) for _ in range(41)]
            (refused,), waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            answer = refused.result()
            assert (answer.status_code, answer.json()["code"]) == (429, "at_capacity")
            assert int(answer.headers["retry-after"]) > 0

            created = await service.client.post("/graphs", content=text, headers=large("json")[1])
            drawn = await service.client.get("/graphs/large/diagram")
            written = await service.client.get("/graphs/large", headers={"Accept": "application/yaml"})
            assert [created.status_code, drawn.status_code, written.status_code] == [201, 200, 200]
            assert (await service.run("chain"))["status"] == "completed"
        finally:
            go.set()
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}


@pytest.mark.parametrize("route", ["execute", "execute/wait", "execute/stream"])
async def test_what_a_graph_does_not_take_to_start_with_is_refused_at_its_place(service: Service, route: str) -> None:
    await service.client.post(
        "/graphs", json={**COUNTED, "state": {"schema": {"properties": {"n": {"type": "integer"}}}}}
    )

    body = b'{\n  "entry": ["n", "m"],\n  "state": {"n": "one"}\n}'
    _, problem = await refused(service, body, f"/graphs/counted/{route}")

    errors = problem["errors"]
    assert isinstance(errors, list)
    assert [(each["pointer"], each["line"], each["column"]) for each in errors] == [
        ("/entry/1", 2, 18),
        ("/state/n", 3, 18),
    ]


async def test_what_an_empty_body_leaves_out_has_no_place(service: Service) -> None:
    await service.client.post("/graphs", json={**COUNTED, "state": {"schema": {"required": ["n"]}}})

    answer = await service.client.post("/graphs/counted/execute")

    assert answer.json()["code"] == "state_invalid"
    assert [set(each) for each in answer.json()["errors"]] == [{"pointer", "code", "detail"}]
