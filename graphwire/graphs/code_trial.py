"""Trying Python files in another process, before this one runs them."""

import pickle
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import msgspec

from graphwire.errors import Problem
from graphwire.graphs.folder_files import FolderFile
from graphwire.graphs.process_group import end_group, signal_name

TIMEOUT_S: Final = 10.0
MAX_BYTES: Final = 512 * 1024 * 1024
_START_S: Final = 30.0
"""How long an interpreter may take to begin: on a busy machine that says nothing about a file."""
_LATE_S: Final = 2.0
"""How long after its time the other process may take to say where it hangs."""
_MAX_PASSED: Final = 10_000
_MAX_TEXT: Final = 64 * 1024
"""Of what is no message: tracebacks, and what a file writes where it should not."""
_BEGIN: Final = "from graphwire.graphs.code_trial_process import main; main()"

UNTRIED: Final = Problem("", "code_failed", "the file has not been tried yet: those before it took too long")

# What passed in this process once needs no second trial, in whatever folder object it comes again.
_passed: dict[tuple[str, str], None] = {}


class Message(msgspec.Struct, omit_defaults=True):
    """A line from the other process. ``begun`` and ``ended`` are stems; ``failure`` belongs to ``ended``.

    Attributes:
        thread: The thread that runs the files, as a traceback names it.
        is_memory: Whether the file failed for want of memory.
    """

    thread: str | None = None
    begun: str | None = None
    ended: str | None = None
    failure: str | None = None
    line: int | None = None
    column: int | None = None
    is_memory: bool = False


@dataclass
class _Trace:
    """What one process said."""

    passed: list[str] = field(default_factory=list)
    failures: dict[str, Problem] = field(default_factory=dict)
    thread: str = ""
    running: str | None = None
    text: list[str] = field(default_factory=list)
    text_size: int = 0
    is_late: bool = False


class CodeTrial:
    """Runs files in a process of its own, one for all of them as long as it lives. One caller at a time.

    It ends with the trial, and its whole group with it. What the files print goes nowhere.

    Args:
        timeout_s: For each file.
        max_bytes: Memory that the process may take; held where the system can (Linux).
    """

    def __init__(self, *, timeout_s: float = TIMEOUT_S, max_bytes: int = MAX_BYTES) -> None:
        self.timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._is_closed = False
        self._until: float | None = None
        self.is_behind = False

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Begin with no further file after this time: what is left has the problem ``UNTRIED``, and is behind."""
        self._until, self.is_behind = time.monotonic() + seconds, False
        try:
            yield
        finally:
            self._until = None

    def failures(
        self, files: Mapping[str, FolderFile], wanted: Mapping[str, str], broken: Collection[str]
    ) -> dict[str, Problem]:
        """Run files in this order, and return what is wrong with those that must not run here.

        Args:
            files: All of a folder, by their stems: what is wanted may import the others.
            wanted: Digests by the stems of those to run.
            broken: Stems of those that must not run.
        """
        keys = {stem: (str(files[stem].path), digest) for stem, digest in wanted.items()}
        waiting = [stem for stem, key in keys.items() if key not in _passed]
        failures: dict[str, Problem] = {}
        while waiting:
            if self._is_over():
                failures |= dict.fromkeys(waiting, UNTRIED)
                self.is_behind = True
                break
            trace = self._run(files, waiting, {*broken, *failures})
            done = {*trace.passed, *trace.failures}
            failures |= trace.failures
            if not done and not self._is_over():
                failures |= dict.fromkeys(waiting, Problem("", "code_failed", "the file could not be tried"))
                break
            waiting = [stem for stem in waiting if stem not in done]
            for stem in trace.passed:
                _passed[keys[stem]] = None
        while len(_passed) > _MAX_PASSED:
            del _passed[next(iter(_passed))]
        return failures

    def close(self) -> None:
        """End a trial that runs; from now on none begins. From any thread."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                end_group(self._process)

    def _is_over(self) -> bool:
        return self._until is not None and time.monotonic() >= self._until

    def _run(self, files: Mapping[str, FolderFile], waiting: Sequence[str], broken: Collection[str]) -> _Trace:
        trace = _Trace()
        with tempfile.TemporaryFile() as given:
            task = {
                "files": {stem: (file.path, file.data) for stem, file in files.items()},
                "wanted": list(waiting),
                "broken": list(broken),
                "timeout_s": self.timeout_s,
                "max_bytes": self._max_bytes,
            }
            pickle.dump(task, given)
            given.seek(0)
            process = self._start(given)
            if process is None:
                return trace
            try:
                self._listen(process, trace)
            finally:
                with self._lock:
                    end_group(process)
                    self._process = None
        if trace.running is not None:
            trace.failures[trace.running] = self._ended(trace, files[trace.running].path, process.returncode)
        return trace

    def _start(self, given: IO[bytes]) -> "subprocess.Popen[bytes] | None":
        with self._lock:
            if self._is_closed:
                return None
            begin = f"import sys; sys.path[:] = {sys.path!r}; {_BEGIN}"
            self._process = subprocess.Popen(
                [sys.executable, "-c", begin],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            return self._process

    def _listen(self, process: "subprocess.Popen[bytes]", trace: _Trace) -> None:
        """Take what the process says, until its end or the time of a file is over."""
        assert process.stdout is not None
        lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        # A thread: what the file started can hold the pipe open after the process has ended.
        threading.Thread(target=_read, args=(process.stdout, lines), name="code trial", daemon=True).start()
        wait_s = _START_S + self.timeout_s
        while True:
            try:
                line = lines.get(timeout=wait_s)
            except queue.Empty:
                trace.is_late = True
                return
            if not line or self._take(line, trace) or trace.text_size > _MAX_TEXT:
                return
            if trace.running is None and self._is_over():
                return
            wait_s = self.timeout_s + _LATE_S

    def _take(self, line: bytes, trace: _Trace) -> bool:
        """Note a line; return whether it is the last one."""
        try:
            message = msgspec.json.decode(line, type=Message)
        except msgspec.DecodeError:
            trace.text.append(line.decode(errors="replace").rstrip())
            trace.text_size += len(line)
            return False
        if message.thread is not None:
            trace.thread = message.thread
            return False
        if message.begun is not None:
            trace.running = message.begun
            return False
        if message.ended is None:
            return True
        trace.running = None
        if message.failure is None:
            trace.passed.append(message.ended)
            return False
        if message.is_memory and (trace.passed or trace.failures):
            return True  # the files before it may have taken the memory: it is tried again, alone
        detail = message.failure
        if message.is_memory:
            detail += f"; the limit is {self._max_bytes // 2**20:,} MiB (GRAPHWIRE_CODE_CHECK_BYTES)"
        trace.failures[message.ended] = Problem("", "code_failed", detail, message.line, message.column)
        return message.is_memory

    def _ended(self, trace: _Trace, path: Path, status: int | None) -> Problem:
        """Say how a file ended the process that tried it."""
        if trace.is_late or any(line.startswith("Timeout (") for line in trace.text):
            detail = f"the file still runs after {self.timeout_s:g} s (GRAPHWIRE_CODE_CHECK_TIMEOUT_S)"
        elif status is not None and status < 0:
            detail = f"running the file ended the process by {signal_name(-status)}"
        else:
            detail = f"running the file ended the process with status {status}"
        return Problem("", "code_failed", detail, _line(trace, path))


def _read(stream: IO[bytes], lines: "queue.SimpleQueue[bytes]") -> None:
    with suppress(ValueError, OSError), stream:
        for line in stream:
            lines.put(line)
    lines.put(b"")


def _line(trace: _Trace, path: Path) -> int | None:
    """Return the innermost line of a file in the traceback of the thread that ran it."""
    pattern = re.compile(rf'  File "(?:.*[/\\])?{re.escape(path.name)}", line (\d+) in ')
    for line in _of_thread(trace):
        if (found := pattern.match(line)) is not None:
            return int(found[1])
    return None


def _of_thread(trace: _Trace) -> Iterator[str]:
    is_ours = False
    for line in trace.text:
        if "hread 0x" in line:
            is_ours = bool(trace.thread) and trace.thread in line
        elif is_ours:
            yield line
