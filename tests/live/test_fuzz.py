"""Bodies changed at random: refused as problems, at once, and without a trace in the service."""

import asyncio
import gc
import json
import re
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.live.description import description
from tests.live.mutations import Body, body, read_corpora
from tests.live.serving import RawConnection, Service, connection, serving
from tests.parts import ROOT

FEW = 2_000
MANY = 100_000
REPLAYED: tuple[int, ...] = (92_276,)
"""Seeds that have shown a fault once."""
HANGS_S = 20.0
MORE_BYTES = 48 * 1024 * 1024
TELLTALE = re.compile(
    rb"Traceback|File \\?\"|\.py\b|site-packages|/tmp/|/root|/home/|/usr/|sqlite|SELECT |INSERT |sqlalchemy"
    rb"|pydantic|msgspec|starlette|fastapi|graphwire\.[a-z]|\bapp\.[a-z]|<class|object at 0x|0x7f[0-9a-f]{8}",
    re.IGNORECASE,
)


@pytest.mark.needs("corpora")
async def test_bodies_changed_at_random_are_answered_as_described(corpora: Path, tmp_path: Path) -> None:
    await send_all(corpora, tmp_path, [*REPLAYED, *range(FEW)])


@pytest.mark.long
@pytest.mark.needs("corpora")
async def test_many_more_bodies_changed_at_random(corpora: Path, tmp_path: Path) -> None:
    await send_all(corpora, tmp_path, [*REPLAYED, *range(FEW, MANY)])


async def send_all(corpora: Path, folder: Path, seeds: list[int]) -> None:
    """Send the bodies of these seeds, and compare the service afterwards with what it was after the first ones."""
    known = read_corpora(corpora)
    slowest: tuple[float, int] = (0.0, -1)
    seen: Counter[str] = Counter()
    async with serving(folder, within_s=36_000, graphs=(ROOT / "examples",)) as service:
        ended = str((await service.run("hello"))["id"])
        made = await service.client.post("/graphs", json={"id": "fuzzed", "nodes": [{"id": "a", "type": "transform"}]})
        assert made.status_code == 201
        before = None
        async with connection(service.port) as raw:
            for count, seed in enumerate(seeds):
                if count == FEW // 4:
                    before = await traces()
                sent = body(seed, known)
                began = time.perf_counter()
                async with asyncio.timeout(HANGS_S):
                    status, fault, code = await tried(raw, sent, ended)
                slowest = max(slowest, (time.perf_counter() - began, seed))
                seen[f"{status} {code}"] += 1
                assert fault is None, f"seed {seed}: {sent.method} {sent.path}: {fault}\n{sent.data[:2_000]!r}"
                if sent.path == "/graphs" and status == 201:
                    await forget(service)
            assert before is not None
            await assert_as_before(before)
        assert (await service.client.get("/health/ready")).status_code == 200
    print(f"\nslowest answer: {slowest[0] * 1000:.0f} ms (seed {slowest[1]}); {dict(seen.most_common())}")  # noqa: T201  # a figure to report


async def tried(raw: RawConnection, made: Body, ended: str) -> tuple[int, str | None, str]:
    """Send a body; return the status, what is wrong with the answer, and its code."""
    path = made.path.format(execution=ended)
    head = f"{made.method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {made.media_type}\r\n"
    if made.method == "PUT":
        head += "If-Match: *\r\n"
    await raw.send(f"{head}Content-Length: {len(made.data)}\r\n\r\n".encode() + made.data)
    status, headers = await raw.head()
    if headers.get("transfer-encoding") == "chunked":
        while await raw.chunk():
            pass
        return status, None, ""
    answer = await raw.reader.readexactly(int(headers.get("content-length", "0")))
    return status, _fault(made, path, status, headers, answer), str(_code(headers, answer))


def _code(headers: dict[str, str], answer: bytes) -> object:
    return json.loads(answer).get("code") if "problem" in headers.get("content-type", "") else ""


def _fault(made: Body, path: str, status: int, headers: dict[str, str], answer: bytes) -> str | None:
    if status >= 500:
        return f"{status}: {answer[:500]!r}"
    if fault := description().fault(made.method, path, status, headers, answer):
        return f"{fault}: {answer[:500]!r}"
    problem = json.loads(answer) if status >= 400 else {}
    if status == 422 and not all("pointer" in each for each in problem.get("errors", [{}])):
        return f"a 422 without pointers: {answer[:500]!r}"
    if status >= 400:
        found = TELLTALE.search(answer)
        if found and found[0].lower() not in made.data.lower():
            return f"shows {found[0]!r}: {answer[:500]!r}"
    return None


async def forget(service: Service) -> None:
    """Delete the graphs that were made, so that the next ones are new."""
    for graph in (await service.client.get("/graphs")).json()["items"]:
        if not graph["read_only"] and graph["id"] != "fuzzed":
            await service.client.delete(f"/graphs/{graph['id']}", params={"force": "true"})


async def traces() -> tuple[int, int, int]:
    """Return how many tasks and open files this process has, and its memory."""
    process = psutil.Process()
    gc.collect()
    return len(asyncio.all_tasks()), process.num_fds(), process.memory_info().rss


async def assert_as_before(before: tuple[int, int, int]) -> None:
    """Assert that tasks, open files and memory are back to where they were, within ten seconds."""
    for _ in range(100):
        tasks, files, memory = await traces()
        if tasks <= before[0] and files <= before[1] and memory - before[2] < MORE_BYTES:
            return
        await asyncio.sleep(0.1)  # what ends by itself has ten seconds
    pytest.fail(f"tasks, open files, bytes of memory: {before} before, {(tasks, files, memory)} after")
