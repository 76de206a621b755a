"""The configurations of proxies in docs/ let streams through as they come, and nothing that they should not."""

import asyncio
import contextlib
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.docs.blocks import ROOT, blocks
from tests.docs.terminal import free_port
from tests.live.serving import Service, serving
from tests.waiting import PATIENCE_S

PAGE = ROOT / "docs" / "how-to" / "put-behind-a-proxy.md"
NAME = "graphs.example.com"


def configuration(language: str) -> str:
    (found,) = [block.text for block in blocks(PAGE) if block.language == language]
    return found


def nginx(folder: Path, port: int, upstream: int) -> list[str]:
    """Write the configuration for nginx, with what surrounds it on a machine; return its command."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN={NAME} -keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    text = configuration("nginx").replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    text = text.replace(f"/etc/ssl/certs/{NAME}.pem", str(certificate))
    text = text.replace(f"/etc/ssl/private/{NAME}.key", str(key))
    places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{each}_temp_path {folder}/{each};\n" for each in places)
    main = folder / "nginx.conf"
    main.write_text(
        f"user root;\npid {folder}/nginx.pid;\ndaemon off;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{text}}}\n"
    )
    command = ["nginx", "-e", "stderr", "-c", str(main)]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    return command


def caddy(folder: Path, port: int, upstream: int) -> list[str]:
    """Write the configuration for Caddy, without TLS: its certificates come from outside; return its command."""
    text = configuration("caddyfile").replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    file = folder / "Caddyfile"
    file.write_text(f"{{\n\tadmin off\n}}\n{text.replace(NAME + ' {', f'http://{NAME}:{port} {{')}")
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)]
    subprocess.run([command[0], "validate", *command[2:]], check=True, capture_output=True)
    return command


Proxy = Callable[[Path, int, int], list[str]]
PROXIES = [
    pytest.param(nginx, id="nginx", marks=pytest.mark.needs("nginx")),
    pytest.param(caddy, id="caddy", marks=pytest.mark.needs("caddy")),
]


@contextlib.asynccontextmanager
async def proxied(proxy: Proxy, folder: Path, upstream: int) -> AsyncIterator[tuple[httpx.AsyncClient, int]]:
    """Run a proxy; give a client that asks it under the service's name, and its port."""
    port = free_port()
    command = await asyncio.to_thread(proxy, folder, port, upstream)
    scheme = "https" if proxy is nginx else "http"
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            httpx.AsyncClient(
                base_url=f"{scheme}://127.0.0.1:{port}",
                headers={"Host": NAME if proxy is nginx else f"{NAME}:{port}"},
                verify=False,
                timeout=PATIENCE_S,
            ) as client,
        ):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    await client.get("/health/live")
                    break
                await asyncio.sleep(0.02)  # it does not say when it listens
            yield client, port
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@contextlib.asynccontextmanager
async def behind(proxy: Proxy, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    changes: dict[str, Any] = {"allowed_hosts": (NAME,), "graphs": (ROOT / "examples",)}
    async with serving(folder, **changes) as service, proxied(proxy, folder, service.port) as (client, _):
        yield client


SILENT = {"state": {"count": 2, "interval_ms": 60_000}}


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
async def test_events_pass_as_they_come(proxy: Proxy, accept: str, tmp_path: Path) -> None:
    async with behind(proxy, tmp_path) as client:
        start = client.stream("POST", "/graphs/ticker/execute/stream", json=SILENT, headers={"Accept": accept})
        async with start as answer:
            lines = answer.aiter_lines()
            seen = [await anext(lines)]
            while '"type":"node_started"' not in seen[-1]:
                seen.append(await anext(lines))  # a proxy that buffers says nothing until the first tick, in a minute

            assert answer.status_code == 200
            assert (await client.post(f"{answer.headers['location']}/cancel")).status_code == 202
            rest = [line async for line in lines]

    assert any('"type":"stream_end"' in line for line in rest)


@pytest.mark.parametrize("proxy", PROXIES)
async def test_reader_that_goes_away_is_noticed(proxy: Proxy, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"allowed_hosts": (NAME,), "graphs": (ROOT / "examples",), "disconnect_grace_s": 0.0}
    async with (
        serving(tmp_path, **changes) as service,
        proxied(proxy, tmp_path, service.port) as (client, _),
    ):
        body = {**SILENT, "on_disconnect": "cancel"}
        async with client.stream("POST", "/graphs/ticker/execute/stream", json=body) as answer:
            await anext(answer.aiter_lines())
            where = answer.headers["location"]

        blocks_of_the_end = await ended(service, where)

    assert "execution_cancelled" in blocks_of_the_end


async def ended(service: Service, where: str) -> list[str]:
    """Wait for the end of an execution without being a reader of its stream."""
    while True:
        shown = (await service.client.get(where)).json()
        if shown["status"] != "running":
            return [block["event"] for block in await service.events(shown["id"])]
        await asyncio.sleep(0.02)  # whoever waits on the stream is a reader, and keeps it going


@pytest.mark.parametrize("proxy", PROXIES)
async def test_cut_reader_resumes_through_the_proxy(proxy: Proxy, tmp_path: Path) -> None:
    body = {"state": {"count": 20, "interval_ms": 1}}
    async with behind(proxy, tmp_path) as client:
        async with client.stream("POST", "/graphs/ticker/execute/stream", json=body) as answer:
            async for line in answer.aiter_lines():
                if line == "id: 5":
                    break
            where = answer.headers["location"]

        rest = await client.get(f"{where}/events", params={"types": "node_message"}, headers={"Last-Event-ID": "5"})

    numbers = [int(line[4:]) for line in rest.text.splitlines() if line.startswith("id: ")]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 6


@pytest.mark.parametrize("proxy", PROXIES)
async def test_large_body_reaches_the_service(proxy: Proxy, tmp_path: Path) -> None:
    async with behind(proxy, tmp_path) as client:
        answer = await client.post(
            "/graphs/validate", json={"id": "large", "nodes": [], "description": "x" * 3_000_000}
        )

    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("proxy", PROXIES)
async def test_web_sockets_get_through(proxy: Proxy, tmp_path: Path) -> None:
    async def echo(connection: websockets.ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with websockets.serve(echo, "127.0.0.1", 0) as server:
        upstream = next(iter(server.sockets)).getsockname()[1]
        async with proxied(proxy, tmp_path, upstream) as (client, port):
            scheme = "wss" if client.base_url.scheme == "https" else "ws"
            context = _unverified() if scheme == "wss" else None
            host = NAME if scheme == "wss" else f"{NAME}:{port}"
            async with websockets.connect(
                f"{scheme}://{host}/", host="127.0.0.1", port=port, ssl=context
            ) as connection:
                await connection.send("hello")

                assert await connection.recv() == "hello"


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
