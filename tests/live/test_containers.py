"""What the container's files say, as far as it can be tried without an engine."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.live.serving import Service, serving

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


async def health(service: Service) -> int:
    """Run the image's health check against a service; return its exit status."""
    found = re.search(r"^HEALTHCHECK .*?CMD (\[.*\])$", DOCKERFILE, re.M)
    assert found
    program, *arguments = json.loads(found[1])
    assert program == "python"
    environment = {**os.environ, "GRAPHWIRE_PORT": str(service.port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


async def test_the_health_check_of_the_image_tells_ready_from_draining_and_needs_no_key(tmp_path: Path) -> None:
    async with serving(tmp_path, api_key="a-key-that-is-long-enough-to-be-one") as service:
        assert await health(service) == 0
        service.drain()
        assert await health(service) == 1


def test_the_image_runs_the_service_itself_and_not_as_root() -> None:
    lines = DOCKERFILE.splitlines()

    assert 'CMD ["graphwire", "serve"]' in lines  # no shell between, so SIGTERM reaches it
    user = next(number for number, line in enumerate(lines) if line == "USER 10001")
    assert lines.index('CMD ["graphwire", "serve"]') > user
    assert "GRAPHWIRE_API_KEY" not in DOCKERFILE


def test_the_composition_needs_a_key_waits_for_its_database_and_is_reachable_from_this_machine_only() -> None:
    services = COMPOSE["services"]

    assert services["graphwire"]["environment"]["GRAPHWIRE_API_KEY"].startswith("${GRAPHWIRE_API_KEY:?")
    assert services["graphwire"]["depends_on"] == {"postgresql": {"condition": "service_healthy"}}
    assert "healthcheck" in services["postgresql"]
    assert [port for each in services.values() for port in each.get("ports", ())] == ["127.0.0.1:8000:8000"]
    assert {volume.partition(":")[0] for each in services.values() for volume in each.get("volumes", ())} == set(
        COMPOSE["volumes"]
    )
