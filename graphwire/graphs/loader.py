"""Graphs from a folder: JSON and YAML files with definitions, Python files with ``Graph`` objects and functions."""

import ast
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from graphwire.errors import GraphInvalid, InvalidInput, Problem, quoted
from graphwire.graphs.builder import Graph
from graphwire.graphs.code import Code, modules_named
from graphwire.graphs.code_trial import CodeTrial
from graphwire.graphs.definition import GraphDefinition, parse_definition
from graphwire.graphs.documents import SUFFIXES, Document, format_of_suffix, read_document
from graphwire.graphs.folder_files import FolderFile, read_files
from graphwire.graphs.python_folder import PythonFile, PythonFolder
from graphwire.graphs.registry import Registry
from graphwire.graphs.validation import check

MAX_FILE_BYTES: Final = 5 * 1024 * 1024
MAX_PYTHON_BYTES: Final = 1024 * 1024
"""Of a Python file: while it is parsed and compiled, nothing else runs."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A graph from a folder, well-formed, not yet validated.

    Attributes:
        code: What its references resolve to.
        digest: SHA-256, in hex, of the sources that it refers to; "" if it names no code.
        place: What gives a problem of it its place.
        made: What it was made of in Python.
    """

    definition: GraphDefinition
    code: Code
    digest: str
    source_path: Path
    place: "Document | int | None" = None
    made: Graph | None = field(default=None, repr=False, compare=False)

    def located(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Return problems of its definition with the file's name, line and column."""
        return _located(problems, self.source_path, self.place)


@dataclass(frozen=True, slots=True)
class FileFailure:
    """A file that gave no graph, or not all of its graphs, and why.

    Attributes:
        graph_id: Which graph of the file it is about; None where it is about all of the file.
        is_double: Whether nothing is wrong with the graph but that another file has it.
    """

    source_path: Path
    problems: tuple[Problem, ...]
    graph_id: str | None = None
    is_double: bool = False


@dataclass(frozen=True, slots=True)
class LoadedFolder:
    """All that a folder held, in the order of the file names."""

    graphs: tuple[Loaded, ...]
    failures: tuple[FileFailure, ...]


def load_folder(path: Path, *, registry: Registry | None = None, max_file_bytes: int = MAX_FILE_BYTES) -> LoadedFolder:
    """Read a folder once, without trying its code before it runs. Arguments and errors as for ``GraphFolder``."""
    return GraphFolder(path, registry=registry, max_file_bytes=max_file_bytes).load()


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a file gave, for as long as ``needs`` is what it depends on."""

    needs: Mapping[str, str | None]
    data: str
    graphs: tuple[Loaded, ...]
    failures: tuple[FileFailure, ...]


class GraphFolder:
    """Every ``*.json``, ``*.yaml``, ``*.yml`` and ``*.py`` file directly in a folder. Its Python files are trusted.

    A reference ``module:name`` names a Python file of the folder by its stem; Python files import each other by it.
    Links that lead out of the folder and what is no regular file are refused. A file that cannot be used is a failure,
    never an exception; so is a graph whose id an earlier file took.

    Args:
        registry: Has the failure of a graph that is not well-formed name the problems of its meaning too.
        max_file_bytes: Larger files are refused; Python files have ``MAX_PYTHON_BYTES`` besides.
        trial: Runs new code in another process first.
    """

    def __init__(
        self,
        path: Path,
        *,
        registry: Registry | None = None,
        max_file_bytes: int = MAX_FILE_BYTES,
        trial: CodeTrial | None = None,
    ) -> None:
        self.path = Path(os.path.abspath(path))
        self._registry = registry
        self._max_file_bytes = max_file_bytes
        self._python = PythonFolder(trial)
        self._outcomes: dict[Path, _Outcome] = {}

    def load(self) -> LoadedFolder:
        """Read the folder as it is now. A file whose code fails goes on with its last good module for other files.

        Where nothing changed, the graphs are the same objects as the last time.

        Raises:
            OSError, ValueError: The folder itself cannot be read.
        """
        files: list[FolderFile] = []
        failures: list[FileFailure] = []
        for file in read_files(self.path, suffixes=(*SUFFIXES, ".py"), max_bytes=self._max_file_bytes):
            if not isinstance(file, FolderFile):
                failures.append(_failure(file[0], file[1]))
            elif file.path.suffix == ".py" and len(file.data) > MAX_PYTHON_BYTES:
                detail = f"{len(file.data):,} bytes; the limit for a Python file is {MAX_PYTHON_BYTES:,}"
                failures.append(_failure(file.path, [Problem("", "file_too_large", detail)]))
            else:
                files.append(file)
        unread = [failure.source_path.stem for failure in failures if failure.source_path.suffix == ".py"]
        self._python.update((file for file in files if file.path.suffix == ".py"), unread)
        self._outcomes = {file.path: self._outcome(file) for file in files}
        graphs: dict[str, Loaded] = {}
        for outcome in self._outcomes.values():
            failures += outcome.failures
            for loaded in outcome.graphs:
                known = graphs.setdefault(loaded.definition.id, loaded)
                if loaded.made is not None and known.made is loaded.made:  # one file has it from another
                    if known.place is None:
                        graphs[loaded.definition.id] = loaded
                elif known is not loaded:
                    failures.append(_doubled(loaded, known))
        return LoadedFolder(tuple(graphs.values()), tuple(sorted(failures, key=lambda each: each.source_path)))

    def _outcome(self, file: FolderFile) -> _Outcome:
        is_python = file.path.suffix == ".py"
        if is_python and (problems := self._python.failures.get(file.path.stem)):
            return _Outcome({}, "", (), (_failure(file.path, problems),))
        data = hashlib.sha256(file.data).hexdigest()
        known = self._outcomes.get(file.path)
        if known is not None and known.data == data and known.needs == self._digests(known.needs):
            return known
        graphs: list[Loaded] = []
        failures: list[FileFailure] = []
        needs: set[str] = {file.path.stem} if is_python else set()
        for each in self._python_graphs(file, needs) if is_python else self._documents(file, needs):
            if isinstance(each, Loaded):
                graphs.append(each)
            else:
                failures.append(each)
        return _Outcome(self._digests(needs), data, tuple(graphs), tuple(failures))

    def _digests(self, needs: Iterable[str]) -> dict[str, str | None]:
        good = self._python.good
        return {stem: good[stem].digest if stem in good else None for stem in needs}

    def _documents(self, file: FolderFile, needs: set[str]) -> Iterator[Loaded | FileFailure]:
        format = format_of_suffix(file.path.suffix)
        assert format is not None
        try:
            document = read_document(file.data, format)
        except InvalidInput as error:
            yield _failure(file.path, _problems(error))
            return
        yield self._graph(document.value, {}, file, document, needs)

    def _python_graphs(self, file: FolderFile, needs: set[str]) -> Iterator[Loaded | FileFailure]:
        known: PythonFile = self._python.good[file.path.stem]
        named = {
            id(value): (name, value) for name, value in list(vars(known.module).items()) if isinstance(value, Graph)
        }
        for _, graph in list(named.values()):
            for given in _given_to(graph):
                named.setdefault(id(given), ("", given))
        lines = _lines(file) if named else {}
        for name, graph in named.values():
            line = lines.get(name)
            try:
                value, functions = graph.value, graph.code.functions
            except InvalidInput as error:
                yield _failure(file.path, _located(_problems(error), file.path, line), graph._id)
                continue
            found = self._graph(value, functions, file, line, needs)
            yield replace(found, made=graph) if isinstance(found, Loaded) else found

    def _graph(
        self,
        value: Any,
        functions: Mapping[str, Any],
        file: FolderFile,
        place: "Document | int | None",
        needs: set[str],
    ) -> Loaded | FileFailure:
        named = modules_named(value)
        needs |= named
        if functions:
            named.add(file.path.stem)
        good = self._python.good
        modules = {stem: each.module for stem, each in good.items()}
        digests = [f"{stem}:{good[stem].digest}" for stem in sorted(named & good.keys())]
        digest = hashlib.sha256("\n".join(digests).encode()).hexdigest() if digests else ""
        try:
            definition = self._definition(value, Code(functions, modules=modules))
        except InvalidInput as error:
            graph_id = value.get("id") if isinstance(value, dict) else None
            problems = _located(_problems(error), file.path, place)
            return _failure(file.path, problems, graph_id if isinstance(graph_id, str) else None)
        return Loaded(definition, Code(functions, modules=modules, digest=digest), digest, file.path, place)

    def _definition(self, value: Any, code: Code) -> GraphDefinition:
        try:
            return parse_definition(value)
        except GraphInvalid:
            if self._registry is not None:
                check(value, self._registry, code=code)
            raise


def _given_to(graph: Graph) -> Sequence[Graph]:
    try:
        return graph.graphs
    except InvalidInput:  # as reading its definition tells in a moment
        return ()


def _problems(error: InvalidInput) -> Sequence[Problem]:
    return error.problems or (Problem("", error.code, error.detail),)


def _failure(path: Path, problems: Iterable[Problem], graph_id: str | None = None) -> FileFailure:
    return FileFailure(path, tuple(replace(problem, file=path.name) for problem in problems), graph_id)


def _doubled(loaded: Loaded, known: Loaded) -> FileFailure:
    graph_id = loaded.definition.id
    detail = f"{quoted(known.source_path.name)} has a graph {quoted(graph_id)} already"
    problems = loaded.located([Problem("/id", "duplicate_graph", detail)])
    return FileFailure(loaded.source_path, problems, graph_id, is_double=True)


def _located(problems: Iterable[Problem], path: Path, place: "Document | int | None") -> tuple[Problem, ...]:
    if isinstance(place, Document):
        problems = place.located(problems)
    elif place is not None:
        # A line that a problem has counts inside an expression, which stands anywhere.
        problems = [replace(problem, line=place, column=None) for problem in problems]
    return tuple(replace(problem, file=path.name) for problem in problems)


def _lines(file: FolderFile) -> Mapping[str, int]:
    """Return the lines in which a Python file first makes what has a name."""
    lines: dict[str, int] = {}
    for statement in ast.parse(file.data).body:
        targets: Sequence[ast.expr] = ()
        match statement:
            case ast.Assign(targets=targets):
                pass
            case ast.AnnAssign(target=target):
                targets = [target]
        for each in targets:
            if isinstance(each, ast.Name):
                lines.setdefault(each.id, statement.lineno)
    return lines
