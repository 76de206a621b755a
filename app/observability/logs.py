"""Log lines for people or for programs, written by a thread of their own so that nothing ever waits for them."""

import logging
import queue
import sys
import threading
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO, TextIOWrapper
from logging.handlers import QueueHandler
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeAlias

import structlog
from structlog.typing import Processor

from app.observability.masking import Masking
from app.observability.printing import escaped, printable

if TYPE_CHECKING:
    from typing_extensions import Buffer  # of ``collections.abc`` from Python 3.12 on

LogFormat: TypeAlias = Literal["text", "json"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]

_Waiting: TypeAlias = "queue.Queue[logging.LogRecord | None]"

MAX_WAITING = 10_000
STOP_S = 1.0


@contextmanager
def logging_to(
    stream: TextIO | None = None,
    *,
    format: LogFormat = "text",
    level: LogLevel = "info",
    secrets: Iterable[str] = (),
) -> Iterator[None]:
    """Write what is logged anywhere in this process to a stream, standard error by default, until the block ends.

    Logging never waits and never raises: lines that the stream does not take in time, or at all, are counted, and
    the next line that gets out is preceded by one that says how many were dropped.

    Args:
        stream: Where to.
        format: ``text`` is for people, coloured on a terminal; ``json`` is an object a line with ``ts``, ``level``,
            ``logger``, ``event`` and whatever else is known (``request_id``, ``execution_id`` …).
        level: What is less severe is not written.
        secrets: Replaced by ``***`` wherever they occur in a line; so are values whose names say that they are secret.
    """
    target = _unlocked(sys.stderr) if stream is None else stream
    waiting: _Waiting = queue.Queue(MAX_WAITING)
    entry = _Entry(waiting)
    writer = _Writer(target, entry)
    writer.setFormatter(_formatter(format, is_terminal=target.isatty(), secrets=tuple(filter(None, secrets))))
    thread = threading.Thread(target=writer.write_all, args=(waiting,), name="log", daemon=True)
    root = logging.getLogger()
    before = root.level, root.handlers[:], logging.raiseExceptions
    logging.raiseExceptions = False
    root.handlers = [entry]
    root.setLevel(level.upper())
    thread.start()
    try:
        yield
    finally:
        root.level, root.handlers, logging.raiseExceptions = before
        with suppress(queue.Full):  # a stream that hangs does not hold up the end
            waiting.put(None, timeout=STOP_S)
            thread.join(STOP_S)


def _unlocked(stream: TextIO) -> TextIO:
    """Return a stream that writes to the same file, if it is one, without a buffer and the lock that guards it.

    The end of the interpreter takes the locks of the standard streams: a write that hangs must hold none.
    """
    try:
        file = _Unbuffered(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):  # it is none
        return stream
    return TextIOWrapper(file, "utf-8", "backslashreplace", write_through=True)


class _Unbuffered(FileIO):
    """A file that takes all it is given, or says that it does not."""

    def write(self, data: "Buffer", /) -> int:
        rest = memoryview(data)
        while rest:
            written = super().write(rest)
            if not written:
                raise BlockingIOError("the file takes nothing now")
            rest = rest[written:]
        return memoryview(data).nbytes


class _Entry(QueueHandler):
    """Hands a record to the thread, with what the place knows that it was logged at."""

    def __init__(self, waiting: _Waiting) -> None:
        super().__init__(waiting)
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        record.context = structlog.contextvars.get_contextvars()
        # As late as that the arguments could have changed, and what fails in them must fail here.
        record.msg, record.args = _text(record), ()
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _Writer(logging.StreamHandler[TextIO]):
    def __init__(self, stream: TextIO, entry: _Entry) -> None:
        super().__init__(stream)
        self._entry = entry

    def createLock(self) -> None:
        """Have none: one thread writes, and the end of the interpreter would wait for the lock while a write hangs."""
        self.lock = None

    def write_all(self, waiting: _Waiting) -> None:
        """Write what comes, until None does."""
        while (record := waiting.get()) is not None:
            self.handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        dropped = self._entry.dropped
        try:
            if dropped:
                self._write(_note(f"{dropped:,} log lines were dropped"))
                self._entry.dropped -= dropped
            self._write(record)
        except Exception:  # border: a stream that is closed or full ends nothing
            self._entry.dropped += 1

    def _write(self, record: logging.LogRecord) -> None:
        self.stream.write(self.format(record) + "\n")
        self.stream.flush()


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # border: an argument that cannot be shown
        return f"{record.msg} (its arguments cannot be shown: {type(error).__name__})"


def _note(text: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (), None)


def _formatter(format: LogFormat, *, is_terminal: bool, secrets: tuple[str, ...]) -> logging.Formatter:
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _with_context,
        _stamped,
    ]
    masking = Masking(secrets)
    last: list[Processor]
    if format == "json":
        last = [structlog.processors.JSONRenderer(ensure_ascii=False), _escaped]
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=is_terminal,
            timestamp_key="ts",
            pad_event_to=0,
            pad_level=False,
            exception_formatter=structlog.dev.plain_traceback,
        )
        last = [_printable, renderer, _masked_in_line(masking)]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _masked(masking),  # before anything is escaped, and a secret looks otherwise
            *last,
        ],
    )


def _with_context(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.pop("context", None)
    event.update(getattr(event.get("_record"), "context", {}))
    return event


def _stamped(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say when it was logged, which is not when it is written."""
    moment = datetime.fromtimestamp(event["_record"].created, UTC)
    event["ts"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _masked(masking: Masking) -> Processor:
    return lambda _, __, event: masking.fields(event)


def _masked_in_line(masking: Masking) -> Processor:
    return lambda _, __, line: masking.text(str(line))


def _printable(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if "stack_info" in event:
        event["stack"] = event.pop("stack_info")
    return printable(event)


def _escaped(_: Any, __: str, line: Any) -> str:
    return escaped(str(line))  # all that is not printable stands in texts, and is the same there as an escape
