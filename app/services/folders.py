"""Graphs from the operator's folders, stored as versions when the service starts."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.services.graphs import GraphService
from graphwire.errors import InvalidInput, Problem
from graphwire.graphs.loader import load_folder

log = logging.getLogger(__name__)


async def adopt_folders(graphs: GraphService, folders: Iterable[Path]) -> None:
    """Store every graph of these folders. What cannot be used is logged, and what was stored of it before stays."""
    for folder in folders:
        try:
            loaded = await asyncio.to_thread(load_folder, folder, registry=graphs.registry)
        except OSError as error:
            log.error("the folder %s cannot be read: %s", folder, error.strerror)
            continue
        for failure in loaded.failures:
            _log(str(failure.source_path), failure.problems)
        for graph in loaded.graphs:
            try:
                _log(f"{graph.source_path} (warning)", graph.located(await graphs.adopt(graph)))
            except InvalidInput as error:
                problems = error.problems or [Problem("", error.code, error.detail)]
                _log(str(graph.source_path), graph.located(problems))


def _log(path: str, problems: Sequence[Problem]) -> None:
    for problem in problems:
        place = "" if problem.line is None else f":{problem.line}:{problem.column}"
        log.warning("%s%s: %s %s", path, place, problem.pointer, problem.detail)
