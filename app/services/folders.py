"""Graphs from the operator's folders, stored as versions when the service starts and when a file changes."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, Self

from watchfiles import awatch

from app.services.graphs import GraphService
from graphwire.errors import GraphwireError, InvalidInput, Problem, quoted
from graphwire.graphs.code_trial import CodeTrial
from graphwire.graphs.folder_files import Fingerprint, fingerprint, is_text, printable
from graphwire.graphs.loader import FileFailure, GraphFolder, Loaded
from graphwire.types import GraphId

log = logging.getLogger(__name__)

_QUIET_MS: Final = 100
"""Without a change, before changes are taken: an editor writes a file in several steps."""
_DEBOUNCE_MS: Final = 1_000
"""After which they are taken even if there are more."""
_SWEEP_S: Final = 5.0
"""Between looks for what the system did not tell, as on some network drives, or while nothing was watched."""
_START_S: Final = 30.0
"""For the trials of Python files before the service serves; the rest is tried while it does."""
_TOLD_PROBLEMS: Final = 10


class Folders:
    """Keeps graphs as the operator's folders have them: from its start, and until its end if they are watched.

    What cannot be used is told in the log, once for each change, and with the graph; its last good version stays. Of
    two files that have a graph of one id, the first counts, in the order of the folders and of the names; but a file
    that gave a graph and fails keeps it from the others.

    Args:
        graphs: Where to.
        paths: The folders.
        trial: Runs new code in another process first.
        max_file_bytes: Larger files are refused.
        is_watched: Whether changes are taken over.
    """

    def __init__(
        self, graphs: GraphService, paths: Iterable[Path], trial: CodeTrial, *, max_file_bytes: int, is_watched: bool
    ) -> None:
        self._graphs = graphs
        self._trial = trial
        self._folders = [
            GraphFolder(path, registry=graphs.registry, max_file_bytes=max_file_bytes, trial=trial) for path in paths
        ]
        self._is_watched = is_watched and bool(self._folders)
        self._sources: dict[GraphId, Path] = {}
        self._known: dict[GraphId, Loaded] = {}
        self._refused: dict[GraphId, Sequence[Problem]] = {}
        self._told: Mapping[Path, Sequence[Problem]] = {}
        self._seen: Mapping[Path, Fingerprint | None] = {}
        self._stop = asyncio.Event()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Read all folders. Python files that cannot be tried in time are taken over afterwards.

        Raises:
            StorageUnavailable: What is in them cannot be stored.
        """
        paths = {folder.path for folder in self._folders}
        stored = await self._graphs.sources() if paths else {}
        self._sources = {graph_id: path for graph_id, path in stored.items() if path.parent in paths}
        try:
            with self._trial.within(_START_S):
                await self._refresh(is_start=True)
        except BaseException:  # a start that is given up waits for no trial
            self._trial.close()
            raise
        await self._group.__aenter__()
        if self._is_watched or self._trial.is_behind:
            self._group.create_task(self._follow(), name="folders")
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        self._stop.set()
        self._trial.close()
        await self._group.__aexit__(*exc_info)

    # --- changes --------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        if self._trial.is_behind:
            await self._take_over(is_told=True)
        if self._is_watched:
            await self._watch()

    async def _watch(self) -> None:
        async with aclosing(self._moments()) as moments:
            async for is_told in moments:
                await self._take_over(is_told)

    async def _take_over(self, is_told: bool) -> None:
        try:
            if is_told or await self._fingerprints() != self._seen:
                await self._refresh()
        except GraphwireError as error:
            log.error("a change of the folders with graphs could not be stored, and is tried again: %s", error)
            self._seen = {}
        except Exception:  # border: a change that cannot be dealt with ends neither the watch nor the service
            log.exception("a change of the folders with graphs broke their reading")

    async def _moments(self) -> AsyncGenerator[bool, None]:
        """Come back whenever a folder may have changed: true where the system says so."""
        reason = ""
        while not self._stop.is_set():
            try:
                there = await asyncio.to_thread(self._there)
                async with aclosing(self._changes(there)) as changes:
                    async for change in changes:
                        yield change
                        if await asyncio.to_thread(self._there) != there:
                            break
            except Exception as error:  # border: what the watch does not bear (a name that is no text) is no end
                before, reason = reason, str(_first(error))
                if reason != before:
                    log.warning("folders are looked at every %g s: they cannot be watched (%s)", _SWEEP_S, reason)
                yield False
                await self._pause()

    async def _changes(self, there: Mapping[Path, int]) -> AsyncGenerator[bool, None]:
        if not there:
            await self._pause()
            yield False
            return
        watched = awatch(
            *there,
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_QUIET_MS,
            stop_event=self._stop,
            rust_timeout=int(_SWEEP_S * 1_000),
            yield_on_timeout=True,
            recursive=False,
        )
        async with aclosing(watched):
            async for changes in watched:
                yield bool(changes)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_SWEEP_S):
                await self._stop.wait()
        except TimeoutError:
            pass

    def _there(self) -> Mapping[Path, int]:
        """Return the folders that are there, each with what tells it from another in its place."""
        found = {}
        for folder in self._folders:
            try:
                if is_text(folder.path) and folder.path.is_dir():
                    found[folder.path] = folder.path.stat().st_ino
            except (OSError, ValueError):
                pass
        return found

    async def _fingerprints(self) -> Mapping[Path, Fingerprint | None]:
        def look() -> Mapping[Path, Fingerprint | None]:
            return {folder.path: fingerprint(folder.path) for folder in self._folders}

        return await asyncio.to_thread(look)

    # --- what is in the folders -----------------------------------------------------------------------------------

    async def _refresh(self, *, is_start: bool = False) -> None:
        """Take over what the folders have now."""
        seen = await self._fingerprints()  # before they are read: a change in between is seen again
        found: dict[GraphId, Loaded] = {}
        failures: list[FileFailure] = []
        for folder in self._folders:
            try:
                loaded = await asyncio.to_thread(folder.load)
            except (OSError, ValueError) as error:
                failures.append(_unreadable(folder.path, error))
                continue
            failures += loaded.failures
            for each in loaded.graphs:
                known = found.setdefault(GraphId(each.definition.id), each)
                if known is not each:
                    failures.append(_doubled(each, "a folder before this one"))
        if self._stop.is_set():
            return  # its trials were ended
        for graph_id, path in self._sources.items():
            if graph_id in found and found[graph_id].source_path != path and _about(graph_id, path, failures):
                failures.append(_doubled(found.pop(graph_id), f"{quoted(path.name)}, which has problems,"))
        for graph_id, each in found.items():
            if self._known.get(graph_id) is not each:
                await self._adopt(graph_id, each, is_start=is_start)
        failures += [
            FileFailure(found[graph_id].source_path, tuple(problems), graph_id)
            for graph_id, problems in self._refused.items()
            if graph_id in found
        ]
        failures += self._gone(found, failures)
        self._tell(failures)
        self._seen = seen

    async def _adopt(self, graph_id: GraphId, loaded: Loaded, *, is_start: bool) -> None:
        path = loaded.source_path
        self._refused.pop(graph_id, None)
        try:
            adopted = await self._graphs.adopt(loaded)
        except InvalidInput as error:
            problems = loaded.located(error.problems or [Problem("", error.code, error.detail)])
            self._graphs.report(graph_id, problems)
            self._refused[graph_id] = problems
        else:
            self._sources[graph_id] = path
            for warning in loaded.located(adopted.warnings):
                log.warning("%s (warning)", _line(path, warning))
            if adopted.is_taken:
                log.warning(
                    "%s: graph %s was made through the API, and is this file's from now on", path, quoted(graph_id)
                )
            if adopted.is_changed and not is_start:
                log.info("%s: graph %s is at version %d now", path, quoted(graph_id), adopted.version)
        self._known[graph_id] = loaded

    def _gone(self, found: Mapping[GraphId, Loaded], failures: Sequence[FileFailure]) -> list[FileFailure]:
        """Show with each graph that no file gave why that is so; returns what is to be told beyond ``failures``."""
        gone = []
        for graph_id, path in self._sources.items():
            if graph_id in found:
                continue
            self._known.pop(graph_id, None)
            self._refused.pop(graph_id, None)
            problems = _about(graph_id, path, failures)
            if not problems:
                detail = f"there is no graph {quoted(graph_id)} in {quoted(path.name)} any more; its last version stays"
                gone.append(FileFailure(path, (Problem("", "source_missing", detail, file=path.name),), graph_id))
            self._graphs.report(graph_id, problems or gone[-1].problems, is_gone=not problems)
        return gone

    def count_troubled(self) -> int:
        """Return how many files have problems."""
        return len(self._told)

    def _tell(self, failures: Sequence[FileFailure]) -> None:
        """Log what is wrong with a file, unless it was so before."""
        told: dict[Path, list[Problem]] = {}
        for failure in failures:
            told.setdefault(failure.source_path, []).extend(failure.problems)
        for path, problems in told.items():
            if self._told.get(path) == problems:
                continue
            for problem in problems[:_TOLD_PROBLEMS]:
                log.warning("%s", _line(path, problem))
            if len(problems) > _TOLD_PROBLEMS:
                log.warning("%s: and %d more", path, len(problems) - _TOLD_PROBLEMS)
        for path in self._told.keys() - told.keys():
            log.info("%s: nothing is wrong any more", path)
        self._told = told


def _about(graph_id: GraphId, path: Path, failures: Sequence[FileFailure]) -> list[Problem]:
    """Return what is wrong with a graph of this file: of itself, or else of the file or its folder."""
    own = [each for each in failures if each.source_path == path and each.graph_id == graph_id and not each.is_double]
    whole = [each for each in failures if each.source_path in (path, path.parent) and each.graph_id is None]
    return [problem for failure in own or whole for problem in failure.problems]


def _unreadable(path: Path, error: Exception) -> FileFailure:
    reason = error.strerror if isinstance(error, OSError) else "it is no path, or its name is no text"
    return FileFailure(printable(path), (Problem("", "folder_unreadable", f"the folder cannot be read: {reason}"),))


def _first(error: Exception) -> Exception:
    """Return what is behind a group of errors."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _doubled(loaded: Loaded, other: str) -> FileFailure:
    detail = f"{other} has a graph {quoted(loaded.definition.id)} already"
    problems = loaded.located([Problem("/id", "duplicate_graph", detail)])
    return FileFailure(loaded.source_path, problems, loaded.definition.id, is_double=True)


def _line(path: Path, problem: Problem) -> str:
    place = [str(path), *(str(number) for number in (problem.line, problem.column) if number is not None)]
    return f"{':'.join(place)}: {problem.pointer} {problem.detail}".replace(":  ", ": ")
