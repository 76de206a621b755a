"""A shell that types what a page says, and the server that the page starts."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.waiting import PATIENCE_S

_READY = "serves at"
_SAY_WHERE = 'python -c "import json, os; print(json.dumps([os.getcwd(), dict(os.environ)]))"'


class Terminal:
    """A shell. What is exported in one command is there in the next."""

    def __init__(self, shell: asyncio.subprocess.Process) -> None:
        self._shell = shell
        self._server: asyncio.subprocess.Process | None = None
        self._said: list[str] = []
        self._reader: asyncio.Task[None] | None = None

    @property
    def is_serving(self) -> bool:
        """Whether a server was started here."""
        return self._server is not None

    async def run(self, command: str) -> tuple[int, str]:
        """Type a command; return its exit status and what it wrote, errors too."""
        mark = f"<{os.urandom(8).hex()}>"
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '{mark} %s\\n' $?\n".encode())
        await self._shell.stdin.drain()
        said = ""
        async with asyncio.timeout(PATIENCE_S):
            while mark not in said:
                said += (await self._shell.stdout.readuntil(b"\n")).decode()
        said, _, status = said.partition(mark)
        return int(status), said

    async def serve(self, command: str) -> str:
        """Type a command that serves, in a terminal of its own; return what it wrote until it was ready."""
        await self.stop()
        _, where = await self.run(_SAY_WHERE)
        folder, environment = json.loads(where)
        self._server = await asyncio.create_subprocess_exec(
            *("bash", "-c", command),
            cwd=folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        ready = asyncio.Event()
        self._said = []
        self._reader = asyncio.create_task(self._listen(self._server, ready))
        async with asyncio.timeout(PATIENCE_S):
            await ready.wait()
        return "".join(self._said)

    async def _listen(self, server: asyncio.subprocess.Process, ready: asyncio.Event) -> None:
        assert server.stdout is not None
        is_announced = False
        while line := (await server.stdout.readline()).decode():
            self._said.append(line)
            is_announced = is_announced or _READY in line
            if is_announced and "curl" in line:
                ready.set()
        ready.set()  # it ended

    async def stop(self) -> None:
        """Press Ctrl-C where the server runs."""
        if self._server is None or self._reader is None:
            return
        for sign in (signal.SIGINT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._server.pid, sign)
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S / 2):
                    await asyncio.gather(self._server.wait(), asyncio.shield(self._reader))
                    break
        self._server = self._reader = None


@asynccontextmanager
async def terminal(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Terminal]:
    """Open a terminal in a folder; at the end everything that was started in it is stopped."""
    shell = await asyncio.create_subprocess_exec(
        *("bash", "--noprofile", "--norc"),
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**24,
    )
    opened = Terminal(shell)
    try:
        yield opened
    finally:
        await opened.stop()
        shell.kill()
        await shell.communicate()


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
