"""What a benchmark says: tables of plain text, and what they were measured on."""

import platform
import sqlite3
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from tests.benchmarks.measuring import Series

PACKAGES = (
    "graphwire",
    "uvloop",
    "uvicorn",
    "httptools",
    "fastapi",
    "starlette",
    "sse-starlette",
    "msgspec",
    "rpds-py",
    "sqlalchemy",
    "pydantic",
)
PEERS = ("langgraph", "langgraph-checkpoint-sqlite", "pydantic-graph", "llama-index-workflows", "llama-agents-server")


def say(line: str = "") -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def title(text: str) -> None:
    """Print the heading of a table."""
    say()
    say(text)
    say("-" * len(text))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: the first column is words, the others are figures."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    for row in (heads, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        say("  ".join(cells).rstrip())


def verdict(used: Series) -> str:
    """Say how much of a budget is used: 1 is all of it. The median decides."""
    return f"{used.spread(form='.2f')} {kept(used, 1)}"


def kept(ratio: Series, allowed: float) -> str:
    """Say whether a budget is kept; the median decides."""
    return "within" if ratio.median <= allowed else "OVER"


def introduce(folder: Path) -> None:
    """Say what is measured on what."""
    say(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_machine()}")
    say(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.system()} {platform.release()}"
    )
    say(f"databases in {folder} ({_filesystem(folder)})")
    say(", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    say("peers: " + ", ".join(f"{name} {_version(name)}" for name in PEERS))
    say("Each figure: median (least-greatest) over the repeats; ratios are taken within a repeat.")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    load = psutil.getloadavg()[0]
    return f"{_processor()}, {psutil.cpu_count()} CPUs, {memory:.0f} GiB, load {load:.1f} at the start"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _filesystem(folder: Path) -> str:
    places = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    return max(places, key=lambda part: len(part.mountpoint)).fstype if places else "unknown file system"
