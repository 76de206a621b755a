"""The one writer of executions: while a group of batches is forced to disk, the next gathers."""

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from app.storage.groups import Attempt, Failure, Groups
from graphwire.engine.ports import Batch, Outbox

log = logging.getLogger(__name__)

MAX_GROUP_BYTES = 1024 * 1024
"""A start or an end waits for the group that is being forced: a larger one saves little and makes others wait."""
MAX_SHARE_BYTES = MAX_GROUP_BYTES // 4
"""Of one execution in a group, so that a chatty one leaves room for others."""
MAX_GROUP_BATCHES = 1_000
FIRST_RETRY_S = 0.05
LAST_RETRY_S = 1.0
SLOW = "The database cannot be used: it takes too long to answer."


class _Part(NamedTuple):
    outbox: Outbox
    batch: Batch


class Writer:
    """Takes batches from outboxes in turn and stores them in groups, one transaction each. Lives on one event loop.

    A group that fails is tried again, with a growing delay of at most a second, until it is stored; only batches with
    a ``start``, and those of executions that somebody else has ended, are refused. Meanwhile ``unavailable`` says why.
    A batch that can never be stored holds up its own execution only.

    Args:
        groups: What writes them; the writer starts and stops it.
        told: Called when the start or the end of an execution was stored, which the service tells.
    """

    def __init__(self, groups: Groups, *, told: Callable[[], None] | None = None) -> None:
        self._groups = groups
        self._told = told
        self._changed: Callable[[str | None], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[int, Outbox] = {}
        self._held: dict[int, _Part] = {}
        self._writing: list[_Part] | None = None
        self._is_due = False
        self._retry: asyncio.TimerHandle | None = None
        self._retry_s = FIRST_RETRY_S
        self._is_retry_due = False
        self._unavailable: str | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_open = False
        self._stored_at = float("-inf")
        self._asked: list[asyncio.Future[None]] = []

    def when_changed(self, changed: Callable[[str | None], None] | None) -> None:
        """Have this called when nothing can be stored any more, with the reason, and with None when it can again."""
        self._changed = changed

    @property
    def unavailable(self) -> str | None:
        """Why nothing can be stored at the moment; None while all is well."""
        return self._unavailable

    async def check(self, *, within_s: float, timeout_s: float) -> str | None:
        """Find out why nothing would be stored now; None where all is well. Writes a little to find out.

        Args:
            within_s: Something that was stored in this time before is proof enough.
            timeout_s: How long to wait for the database.
        """
        loop = asyncio.get_running_loop()
        if self._unavailable is not None or not self._is_open or loop.time() - self._stored_at < within_s:
            return self._unavailable
        answered: asyncio.Future[None] = loop.create_future()
        self._asked.append(answered)
        self._arrange()
        try:
            async with asyncio.timeout(timeout_s):
                await answered
        except TimeoutError:
            return self._unavailable or SLOW
        finally:
            if answered in self._asked:
                self._asked.remove(answered)
        return self._unavailable

    async def start(self) -> None:
        """Begin to store.

        Raises:
            StorageUnavailable: The database cannot be opened.
        """
        self._loop = asyncio.get_running_loop()
        await self._groups.start(self._finished, self._troubled)
        self._is_open = True
        if self._waiting:
            self._arrange()

    async def stop(self, *, timeout_s: float = 20.0) -> None:
        """Store what is left, then end. Idempotent.

        What cannot be stored within ``timeout_s`` is given up, as after a crash, and logged.
        """
        if not self._is_open:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning("%d executions could not be stored: %s", len(self._left()), self._unavailable or "too slow")
        finally:
            self._is_open = False
            if self._retry is not None:
                self._retry.cancel()
            await self._groups.stop()

    def submit(self, outbox: Outbox) -> None:
        """Say that an outbox has something to store. Returns at once; idempotent until the outbox is drained."""
        key = id(outbox)
        if key in self._waiting:
            return
        self._waiting[key] = outbox
        self._idle.clear()
        if self._writing is None or self._unavailable is not None:
            self._arrange()

    def _left(self) -> set[int]:
        return {*self._waiting, *self._held, *(id(part.outbox) for part in self._writing or ())}

    def _arrange(self) -> None:
        # Not at once: what else is submitted in this turn of the loop belongs to the same group.
        if not self._is_due and self._loop is not None and self._is_open:
            self._is_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_due = False
        if self._unavailable is not None:
            self._screen()
        if self._writing is None:
            self._write_next()
        if self._writing is None and not self._waiting and not self._held:
            self._idle.set()

    def _write_next(self) -> None:
        parts: list[_Part] = []
        is_probe = False
        if self._is_retry_due:
            self._is_retry_due = False
            parts = self._take_held()
            is_probe = not parts and self._unavailable is not None
        if self._unavailable is None:
            parts = self._gather(parts)
        if parts or is_probe or self._asked:
            self._writing = parts
            self._groups.put([part.batch for part in parts])

    def _take_held(self) -> list[_Part]:
        parts: list[_Part] = []
        room = MAX_GROUP_BYTES
        for key, part in list(self._held.items()):
            if room <= 0 or len(parts) >= MAX_GROUP_BATCHES:
                break
            parts.append(part)
            room -= part.batch.size
            del self._held[key]
        return parts

    def _gather(self, parts: list[_Part]) -> list[_Part]:
        """Add to ``parts`` what waits, until the group is full. An outbox that gave something goes to the end."""
        room = MAX_GROUP_BYTES - sum(part.batch.size for part in parts)
        taken = {*self._held, *(id(part.outbox) for part in parts)}
        for key in list(self._waiting):
            if room <= 0 or len(parts) >= MAX_GROUP_BATCHES:
                break
            if key in taken:
                continue
            outbox = self._waiting.pop(key)
            if (batch := _take(outbox, min(room, MAX_SHARE_BYTES))) is not None:
                self._waiting[key] = outbox
                parts.append(_Part(outbox, batch))
                room -= batch.size
        return parts

    def _screen(self) -> None:
        """While nothing can be stored: refuse the starts among what waits, and hold the rest."""
        writing = {id(part.outbox) for part in self._writing or ()}
        for key in [key for key in self._waiting if key not in self._held and key not in writing]:
            outbox = self._waiting[key]
            if (batch := _take(outbox, MAX_GROUP_BYTES)) is None:
                del self._waiting[key]
            else:
                self._hold(_Part(outbox, batch), Failure(self._unavailable or ""))

    def _hold(self, part: _Part, failure: Failure) -> None:
        key = id(part.outbox)
        if part.batch.start is None and not failure.is_final:
            self._held[key] = part
            return
        self._waiting.pop(key, None)
        about = {"execution_id": part.batch.execution_id}
        if failure.is_final:
            log.error("an execution is let go: %s", failure.reason, extra=about)
        try:
            part.outbox.refused(part.batch, failure.reason)
        except Exception:  # border: nothing that an execution does may end the writer
            log.exception("an execution failed on hearing that a batch is refused", extra=about)

    def _finished(self, attempt: Attempt) -> None:
        """Hear what became of a group."""
        parts, self._writing = self._writing or [], None
        self._set_unavailable(attempt.unavailable)
        if self._loop is not None and attempt.unavailable is None and not any(attempt.failures):
            self._stored_at = self._loop.time()
        asked, self._asked = self._asked, []
        for answered in asked:
            if not answered.done():
                answered.set_result(None)
        has_news = False
        for part, failure in zip(parts, attempt.failures, strict=True):
            if failure is None:
                has_news = has_news or part.batch.start is not None or part.batch.end is not None
                _tell_stored(part)
            else:
                if failure.cause is not None:
                    about = {"execution_id": part.batch.execution_id}
                    log.error("a batch cannot be stored", exc_info=failure.cause, extra=about)
                self._hold(part, failure)
        if has_news and self._told is not None:
            self._told()
        has_to_wait = any(failure is not None and not failure.is_final for failure in attempt.failures)
        self._plan_retry(has_failed=has_to_wait or self._unavailable is not None)
        self._turn()

    def _troubled(self, reason: str) -> None:
        """Hear why the group at hand takes long, or why the next one would."""
        if not self._is_open:
            return
        self._set_unavailable(reason)
        if self._writing is None:
            self._plan_retry(has_failed=True)
        self._arrange()

    def _set_unavailable(self, reason: str | None) -> None:
        if reason is not None and self._unavailable is None:
            log.warning("nothing can be stored: %s", reason)
        has_changed = (reason is None) != (self._unavailable is None)
        self._unavailable = reason
        if has_changed and self._changed is not None:
            self._changed(reason)

    def _plan_retry(self, *, has_failed: bool) -> None:
        if has_failed:
            if self._retry is None and self._loop is not None and self._is_open:
                self._retry = self._loop.call_later(self._retry_s, self._try_again)
                self._retry_s = min(2 * self._retry_s, LAST_RETRY_S)
        elif self._retry is None:
            # What did not fit into this group of held batches comes with the next one.
            self._is_retry_due = bool(self._held)
            self._retry_s = FIRST_RETRY_S

    def _try_again(self) -> None:
        self._retry = None
        self._is_retry_due = True
        self._turn()


def _take(outbox: Outbox, max_bytes: int) -> Batch | None:
    try:
        return outbox.take(max_bytes)
    except Exception:  # border: nothing that an execution does may end the writer
        log.exception("an execution failed to hand over what is to be stored")
        return None


def _tell_stored(part: _Part) -> None:
    try:
        part.outbox.stored(part.batch)
    except Exception:  # border: nothing that an execution does may end the writer
        about = {"execution_id": part.batch.execution_id}
        log.exception("an execution failed on hearing that a batch is stored", extra=about)
