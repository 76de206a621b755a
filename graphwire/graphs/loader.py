"""Graphs from a folder: JSON and YAML files with definitions, Python files with ``Graph`` objects and functions."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from graphwire.errors import GraphInvalid, InvalidInput, Problem, quoted
from graphwire.graphs.builder import Graph
from graphwire.graphs.code import Code, is_reference
from graphwire.graphs.definition import GraphDefinition, parse_definition
from graphwire.graphs.documents import SUFFIXES, Document, Format, format_of_suffix, read_document
from graphwire.graphs.folder_files import FolderFile, read_files
from graphwire.graphs.python_files import run_file
from graphwire.graphs.registry import Registry
from graphwire.graphs.validation import check_value

MAX_FILE_BYTES: Final = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Loaded:
    """A graph from a folder, well-formed, not yet validated.

    Attributes:
        code: What its references resolve to.
        digest: SHA-256, in hex, of the sources that it refers to; "" if it names no code.
        document: The text that it was read from; None of a graph in Python.
    """

    definition: GraphDefinition
    code: Code
    digest: str
    source_path: Path
    document: Document | None = field(default=None, repr=False)

    def located(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Return problems of the definition with their line and column in the file, where it is a text."""
        return tuple(problems) if self.document is None else self.document.located(problems)


@dataclass(frozen=True, slots=True)
class FileFailure:
    """A file that gave no graph, or not all of its graphs, and why."""

    source_path: Path
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class LoadedFolder:
    """All that a folder held, in the order of the file names."""

    graphs: tuple[Loaded, ...]
    failures: tuple[FileFailure, ...]


def load_folder(path: Path, *, registry: Registry | None = None, max_file_bytes: int = MAX_FILE_BYTES) -> LoadedFolder:
    """Read every ``*.json``, ``*.yaml``, ``*.yml`` and ``*.py`` file directly in a folder; the last are run: trusted.

    A reference ``module:name`` names a Python file of the folder by its stem. Links that lead out of the folder and
    what is no regular file are refused. A file that cannot be used is a failure, never an exception; so is a graph
    whose id an earlier file took.

    Args:
        registry: Has the failure of a graph that is not well-formed name the problems of its meaning too.

    Raises:
        OSError: The folder itself cannot be read.
    """
    return _Loading(path, registry).run(max_file_bytes)


class _Loading:
    def __init__(self, path: Path, registry: Registry | None) -> None:
        self._path = path
        self._registry = registry
        self._failures: list[FileFailure] = []
        self._modules: dict[str, ModuleType] = {}
        self._digests: dict[str, str] = {}

    def run(self, max_file_bytes: int) -> LoadedFolder:
        files: list[FolderFile] = []
        for file in read_files(self._path, suffixes=(*SUFFIXES, ".py"), max_bytes=max_file_bytes):
            if isinstance(file, FolderFile):
                files.append(file)
            else:
                self._fail(*file)
        for file in files:
            if file.path.suffix == ".py":
                self._run(file)
        graphs: dict[str, Loaded] = {}
        for file in files:
            for loaded in self._graphs(file):
                known = graphs.setdefault(loaded.definition.id, loaded)
                if known is not loaded:
                    name = quoted(loaded.definition.id)
                    detail = f"{quoted(known.source_path.name)} has a graph {name} already"
                    self._fail(file.path, [Problem("/id", "duplicate_graph", detail)])
        failures = sorted(self._failures, key=lambda failure: failure.source_path)
        return LoadedFolder(tuple(graphs.values()), tuple(failures))

    def _run(self, file: FolderFile) -> None:
        try:
            self._modules[file.path.stem] = run_file(file)
        except InvalidInput as error:
            self._fail(file.path, error.problems)
        else:
            self._digests[file.path.stem] = hashlib.sha256(file.data).hexdigest()

    def _graphs(self, file: FolderFile) -> Iterator[Loaded]:
        format = format_of_suffix(file.path.suffix)
        if format is not None:
            loaded = self._read(file, format)
            if loaded is not None:
                yield loaded
            return
        module = self._modules.get(file.path.stem)
        found = [] if module is None else [value for value in vars(module).values() if isinstance(value, Graph)]
        for graph in {id(graph): graph for graph in found}.values():
            try:
                functions = graph.code.functions
                yield self._loaded(self._definition(graph.value, functions), functions, file.path)
            except InvalidInput as error:
                self._fail(file.path, error.problems)

    def _read(self, file: FolderFile, format: Format) -> Loaded | None:
        document: Document | None = None
        try:
            document = read_document(file.data, format)
            return self._loaded(self._definition(document.value, {}), {}, file.path, document)
        except InvalidInput as error:
            problems = error.problems if document is None else document.located(error.problems)
            self._fail(file.path, problems or (Problem("", error.code, error.detail),))
            return None

    def _definition(self, value: Any, functions: Mapping[str, Any]) -> GraphDefinition:
        try:
            return parse_definition(value)
        except GraphInvalid:
            if self._registry is not None:
                check_value(value, self._registry, code=Code(functions, modules=self._modules))
            raise

    def _loaded(
        self, definition: GraphDefinition, functions: Mapping[str, Any], path: Path, document: Document | None = None
    ) -> Loaded:
        named = {text.partition(":")[0] for text in _texts(definition.to_value()) if is_reference(text)}
        if functions:
            named.add(path.stem)
        digests = [f"{name}:{self._digests[name]}" for name in sorted(named & self._digests.keys())]
        digest = hashlib.sha256("\n".join(digests).encode()).hexdigest() if digests else ""
        return Loaded(definition, Code(functions, modules=self._modules, digest=digest), digest, path, document)

    def _fail(self, path: Path, problems: "tuple[Problem, ...] | list[Problem]") -> None:
        self._failures.append(FileFailure(path, tuple(problems)))


def _texts(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        match stack.pop():
            case str() as text:
                yield text
            case dict() as found:
                stack += found.values()
            case list() | tuple() as items:
                stack += items
            case _:
                pass
