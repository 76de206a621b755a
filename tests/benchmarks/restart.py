"""How long it takes after a kill until a server answers again, and until it has taken up all that was left."""

import tempfile
import time
from pathlib import Path

from tests.benchmarks.measuring import Series
from tests.benchmarks.printing import kept, table, title
from tests.live.processes import process
from tests.live.serving import http_client

COUNTS = (1, 100)
LIMIT_S = 5.0
LOOP = {
    "id": "left",
    "state": {"initial": {"n": 0}},
    "nodes": [
        {"id": "begin", "type": "transform"},
        {"id": "count", "type": "transform", "config": {"set": {"n": "state.n + 1"}}},
        {"id": "wait", "type": "delay", "config": {"seconds": "0 if state.n < 20 else 3600"}},
    ],
    "edges": [
        {"source": "begin", "target": "count"},
        {"source": "count", "target": "wait"},
        {"source": "wait", "target": "count"},
    ],
}


async def measure(repeats: int) -> None:
    """Print the times for several numbers of unfinished executions."""
    title("Restart after SIGKILL: seconds until it answers, and until all is taken up (budget 5 s)")
    rows = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            times = await _measure(Path(folder), count, repeats)
        serves, is_whole = (Series(list(each)) for each in zip(*times, strict=True))
        rows.append([f"{count:,}", serves.spread(form=".2f"), is_whole.spread(form=".2f"), kept(is_whole, LIMIT_S)])
    table(["unfinished executions", "answers", "all taken up", ""], rows)


async def _measure(folder: Path, count: int, repeats: int) -> list[tuple[float, float]]:
    async with process(folder) as served, http_client(served.address) as client:
        (await client.post("/graphs", json=LOOP)).raise_for_status()
        paths = []
        for _ in range(count):
            answer = await client.post("/graphs/left/execute", json={"durability": "sync"})
            paths.append(answer.headers["location"])
        served.process.kill()
        await served.ended()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        async with process(folder) as served, http_client(served.address) as client:
            (await client.get("/health/ready")).raise_for_status()
            serves = time.perf_counter() - began
            for path in paths:  # each answer waits until it is taken up
                (await client.get(path)).raise_for_status()
            times.append((serves, time.perf_counter() - began))
            served.process.kill()
            await served.ended()
    return times
