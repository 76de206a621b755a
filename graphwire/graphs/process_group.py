"""Ending a process together with all that it started."""

import os
import signal
import subprocess
from contextlib import suppress


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """End a process that leads a group of its own, and the group; returns when the process is gone."""
    if process.returncode is not None:
        return  # its number may be another's by now
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def signal_name(number: int) -> str:
    """Return the name of a signal, SIGKILL say."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
