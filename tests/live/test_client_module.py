"""How the client for browsers is handed out."""

from pathlib import Path

from tests.live.serving import Service, serving

PAGE = "http://localhost:5173"


async def test_module_is_sent_again_only_where_it_has_changed(service: Service) -> None:
    first = await service.client.get("/client.js")
    tag = first.headers["etag"]

    assert first.status_code == 200
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["x-content-type-options"] == "nosniff"
    assert first.text.count("export ") == first.text.count("export class ") + first.text.count("export function ")
    assert "import " not in first.text.replace("//     import ", ""), "it needs nothing else"
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = await service.client.get("/client.js", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    changed = await service.client.get("/client.js", headers={"If-None-Match": '"other"'})
    assert (changed.status_code, changed.content) == (200, first.content)


async def test_page_of_another_origin_may_have_it_where_it_may_ask(tmp_path: Path) -> None:
    async with serving(tmp_path, cors_origins=(PAGE,)) as service:
        allowed = await service.client.get("/client.js", headers={"Origin": PAGE})
        refused = await service.client.get("/client.js", headers={"Origin": "http://elsewhere.test"})

    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, PAGE)
    assert refused.json()["code"] == "origin_not_allowed"
