"""Packages of npm that tests use: installed once into a cache of the user's, never into the repository."""

import fcntl
import json
import os
import shutil
import subprocess
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

PACKAGES: Final = {
    "@ag-ui/client": "1.0.0",
    "@ag-ui/core": "1.0.0",
    "@asyncapi/specs": "6.11.1",
    "@microsoft/fetch-event-source": "2.0.1",
    "eventsource": "4.1.1",
    "eventsource-client": "1.2.0",
    "json-rpc-2.0": "1.8.1",
    "typescript": "5.9.3",
    "ws": "8.23.0",
}
"""All that any test needs, each in the one version that it was tried with."""

WITHIN_S: Final = 120.0


@cache
def modules() -> Path:
    """Return the folder ``node_modules`` with the packages; the first call of a machine installs them.

    Raises:
        subprocess.CalledProcessError: npm failed; its complaint is in the output of the test.
    """
    wanted = json.dumps({"private": True, "dependencies": PACKAGES}, sort_keys=True)
    folder = user_cache_path("graphwire-tests") / f"npm-{sha256(wanted.encode()).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several runs of the tests one installs, and the others wait
        if not folder.is_dir():
            _install(wanted, folder)
    return folder / "node_modules"


def node(*arguments: str | Path) -> list[str]:
    """Return a command that runs Node.js."""
    return [shutil.which("node") or "node", *map(str, arguments)]


def _install(wanted: str, folder: Path) -> None:
    unfinished = folder.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    (unfinished / "package.json").write_text(wanted)
    command = [
        shutil.which("npm") or "npm",
        "install",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]
    subprocess.run(command, cwd=unfinished, check=True, timeout=WITHIN_S, env={**os.environ, "CI": "1"})
    os.replace(unfinished, folder)
