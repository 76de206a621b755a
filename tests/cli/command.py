"""The command as a person calls it: a process, with pipes or with a terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.waiting import PATIENCE_S

COMMAND = str(Path(sys.executable).with_name("graphwire"))
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def graphwire(*arguments: str | Path, given: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Call the command with pipes; ``variables`` are added to the environment."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**_environment(), **variables},
        preexec_fn=_hear_ctrl_c,
        check=False,
    )


@dataclass
class Terminal:
    """The command on a terminal of its own. Used with ``with``; ends the command if it has not ended."""

    arguments: tuple[str | Path, ...]
    columns: int = 100
    text: str = field(default="", init=False)
    raw: bytes = field(default=b"", init=False)
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _end: int = field(default=-1, init=False)

    def __enter__(self) -> "Terminal":
        self._end, other = pty.openpty()
        variables = {"TERM": "xterm-256color", "COLUMNS": str(self.columns), "LINES": "30"}
        self._process = subprocess.Popen(
            [COMMAND, *map(str, self.arguments)],
            stdin=other,
            stdout=other,
            stderr=other,
            env={**_environment(), **variables},
            start_new_session=True,
        )
        os.close(other)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        os.close(self._end)

    def wait_for(self, wanted: str) -> None:
        """Read until the terminal was shown this text, codes for colours and places left out."""
        while wanted not in self.text:
            assert self._read(), f"{wanted!r} was not shown, but {self.text!r}"

    def press_ctrl_c(self) -> None:
        """Do what a terminal does at Ctrl-C."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)

    def wait_ended(self) -> int:
        """Read to the end and return the exit status."""
        assert self._process is not None
        while self._read():
            pass
        return self._process.wait(PATIENCE_S)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._end], [], [], PATIENCE_S)
        assert ready, f"nothing more was shown than {self.text!r}"
        try:
            data = os.read(self._end, 65_536)
        except OSError:  # the other end is closed
            return False
        self.raw += data
        self.text += _CODES.sub("", data.decode(errors="replace"))
        return bool(data)


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # tests that run in the background ignore it, and so do their children


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRAPHWIRE_")}
    return {**kept, "NO_COLOR": ""}
