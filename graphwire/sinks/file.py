"""Events in a file, one a line, which begins anew when it has grown."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path

from graphwire.events.hub import Published
from graphwire.sinks.port import OnlySomeTakenError


class NdjsonFile:
    """Appends events to a file as lines of JSON (``application/x-ndjson``), whole, in the bytes that readers get.

    What was taken is with the operating system: it survives the process, not a power cut. A file that would grow
    beyond ``max_bytes`` is renamed to ``<name>.1`` first, that one to ``<name>.2``, and so on. A file that somebody
    else moves or deletes is begun anew. A line that a crash cut short keeps a line to itself.

    Args:
        path: The file; its folder is made if need be.
        max_bytes: Largest size of a file; a single larger event has a file of its own.
        keep: How many older files are kept; 0 keeps none.
        name: What the sink is called.
    """

    def __init__(
        self, path: str | Path, *, max_bytes: int = 100 * 1024 * 1024, keep: int = 5, name: str = "file"
    ) -> None:
        self.name = name
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._keep = keep
        self._file: FileIO | None = None

    def handle(self, events: Sequence[Published]) -> None:
        """See ``Sink``. The reason of ``OnlySomeTakenError`` is an ``OSError``."""
        taken = 0
        try:
            for count, text in self._runs(events):
                self._append(text)
                taken += count
        except OSError as error:
            raise OnlySomeTakenError(taken) from error

    def close(self) -> None:
        """See ``Sink``."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _runs(self, events: Sequence[Published]) -> Iterator[tuple[int, bytes]]:
        """Join events to texts that fit into one file each."""
        lines: list[bytes] = []
        size = 0
        for event in events:
            line = event.whole or event.line
            if lines and size + len(line) >= self._max_bytes:
                yield len(lines), b"\n".join([*lines, b""])
                lines, size = [], 0
            lines.append(line)
            size += len(line) + 1
        if lines:
            yield len(lines), b"\n".join([*lines, b""])

    def _append(self, text: bytes) -> None:
        file = self._opened()
        size = os.fstat(file.fileno()).st_size
        if size and size + len(text) > self._max_bytes:
            self._turn_over()
            file, size = self._opened(), 0
        try:
            left = memoryview(text)
            while left:
                left = left[file.write(left) :]
        except OSError:
            with suppress(OSError):
                file.truncate(size)  # the next attempt writes all of it
            self.close()
            raise

    def _opened(self) -> FileIO:
        """Return the file that stands under the name now."""
        if self._file is not None and not self._stands(self._file):
            self.close()
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = FileIO(self._path, "a+")
            end = os.fstat(self._file.fileno()).st_size
            if end and os.pread(self._file.fileno(), 1, end - 1) != b"\n":
                self._file.write(b"\n")
        return self._file

    def _stands(self, file: FileIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def _turn_over(self) -> None:
        """Move the file, and those before it, one number on."""
        self.close()
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{number + 1}") for number in range(self._keep))]
        names[-1].unlink(missing_ok=True)
        for older, newer in zip(reversed(names), list(reversed(names))[1:], strict=False):
            with suppress(FileNotFoundError):
                newer.rename(older)
