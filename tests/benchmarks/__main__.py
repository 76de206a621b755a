"""The command behind ``make bench``."""

import argparse
import asyncio
import tempfile
from pathlib import Path

import uvloop

from tests.benchmarks import compression, engine, fanout, restart, streams
from tests.benchmarks.printing import introduce, say

TABLES = {
    "engine": engine.measure,
    "streams": streams.measure,
    "fanout": fanout.measure,
    "compression": compression.measure,
    "restart": restart.measure,
}


def main() -> None:
    """Measure the tables that were asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], help="which tables; all if none is named")
    parser.add_argument("--repeats", type=int, default=7, help="values per figure (7); more give a truer spread")
    arguments = parser.parse_args()
    introduce(Path(tempfile.gettempdir()))
    for name in arguments.tables or TABLES:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(TABLES[name](arguments.repeats))
    say()


if __name__ == "__main__":
    main()
