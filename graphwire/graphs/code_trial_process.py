"""The process in which files are tried: all that a file can do at import, it does here."""

import faulthandler
import os
import pickle
import sys
import threading
from pathlib import Path
from typing import IO, Never

import msgspec

from graphwire.errors import InvalidInput
from graphwire.graphs.code_trial import Message
from graphwire.graphs.folder_files import FolderFile
from graphwire.graphs.python_run import PythonRun


def main() -> None:
    """Take a task from standard input, run its files, and say of each how it ended."""
    task = pickle.load(sys.stdin.buffer)
    said = _take_output()
    end = os._exit
    _forbid_exit()
    _say(said, Message(thread=f"0x{threading.get_ident():016x}"))
    faulthandler.enable(said)
    _limit_memory(task["max_bytes"])
    files = {stem: FolderFile(Path(path), data) for stem, (path, data) in task["files"].items()}
    run = PythonRun(files, {}, broken=task["broken"])
    for stem in task["wanted"]:
        _say(said, Message(begun=stem))
        faulthandler.dump_traceback_later(task["timeout_s"], exit=True, file=said)
        ended = _ended(run, stem)
        faulthandler.cancel_dump_traceback_later()
        _say(said, ended)
        if ended.is_memory:
            break
    _say(said, Message())
    end(0)  # threads that a file left are no reason to stay


def _ended(run: PythonRun, stem: str) -> Message:
    try:
        run.module(stem)
    except InvalidInput as error:
        run.broken.add(stem)
        problem = error.problems[0]
        is_memory = "raised MemoryError" in problem.detail
        return Message(
            ended=stem, failure=problem.detail, line=problem.line, column=problem.column, is_memory=is_memory
        )
    except BaseException as error:  # border: KeyboardInterrupt, raised by the file itself
        run.broken.add(stem)
        return Message(ended=stem, failure=f"running the file raised {type(error).__name__}")
    return Message(ended=stem)


def _say(said: IO[bytes], message: Message) -> None:
    said.write(msgspec.json.encode(message) + b"\n")
    said.flush()


def _take_output() -> IO[bytes]:
    """Return standard output as a file of its own; what is printed from now on, and what is asked, goes nowhere."""
    said = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    return said


def _forbid_exit() -> None:
    """Have ``os._exit`` raise, so that it is known where it was called."""
    here, end = os.getpid(), os._exit

    def refused(status: int) -> Never:
        if os.getpid() != here:
            end(status)
        raise SystemExit(f"os._exit({status})")

    os._exit = refused


def _limit_memory(max_bytes: int) -> None:
    """Bound what the process may allocate; shared libraries do not count."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (max_bytes, max_bytes))
