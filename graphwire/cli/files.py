"""A file with graphs, as the commands take it: Python, JSON or YAML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from graphwire.engine.linking import Part
from graphwire.errors import GraphInvalid, InvalidInput, NotFound, Problem, quoted
from graphwire.graphs.builder import Graph
from graphwire.graphs.code import Code, modules_named
from graphwire.graphs.documents import format_of_suffix, read_document
from graphwire.graphs.folder_files import FolderFile, read_file, read_files
from graphwire.graphs.loader import MAX_FILE_BYTES
from graphwire.graphs.python_run import PythonRun
from graphwire.graphs.registry import Registry
from graphwire.graphs.shape import invalid_graph
from graphwire.graphs.validation import examined

SUFFIXES: Final = (".py", ".json", ".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class FileGraph(Part):
    """A graph that can run, and what is odd about it."""

    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphFile:
    """What a file held.

    Attributes:
        text: As it was read; "" if it could not be.
        problems: Of the file and of all its graphs.
        left_out: How many more problems there are.
    """

    path: Path
    text: str
    graphs: tuple[FileGraph, ...] = ()
    problems: tuple[Problem, ...] = ()
    left_out: int = 0

    def has(self, graph_id: str | None) -> bool:
        """Whether there is a graph with this id; without one, any."""
        return any(graph_id in (None, graph.definition.id) for graph in self.graphs)

    def graph(self, graph_id: str | None) -> FileGraph:
        """Return the graph with this id; without one the only graph that no other one in the file runs.

        Raises:
            NotFound: There is none, or there are several to choose from.
        """
        known = {graph.definition.id: graph for graph in self.graphs}
        if graph_id is not None and graph_id in known:
            return known[graph_id]
        run = {reference.graph for graph in self.graphs for reference in graph.references}
        outermost = [graph for name, graph in known.items() if name not in run]
        if graph_id is None and len(outermost) == 1:
            return outermost[0]
        names = ", ".join(quoted(name) for name in known)
        if not known:
            raise NotFound(f"{self.path} holds no graph")
        if graph_id is None:
            raise NotFound(f"{self.path} holds several graphs: name one with --graph ({names})")
        raise NotFound(f"{self.path} has no graph {quoted(graph_id)}; it has {names}")


def read_graph_file(path: Path, registry: Registry, *, needs_graph: bool = True) -> GraphFile:
    """Read a file and check its graphs. Runs a Python file, and those beside it that it imports or a definition names.

    What is wrong is in ``problems``, never raised; ``needs_graph`` has a Python file without a graph be wrong.
    """
    if path.suffix not in SUFFIXES and path.is_file():
        detail = f"a graph is in a file that ends with {', '.join(SUFFIXES)}"
        return GraphFile(path, "", problems=(Problem("", "unknown_suffix", detail),))
    file = read_file(path, max_bytes=MAX_FILE_BYTES)
    if not isinstance(file, FolderFile):
        return GraphFile(path, "", problems=tuple(file))
    text = file.data.decode("utf-8-sig", errors="replace")
    if path.suffix == ".py":
        return _read_python(file, text, registry, needs_graph=needs_graph)
    return _read_document(file, text, registry)


def graph_beside(file: GraphFile, graph_id: str, registry: Registry) -> FileGraph | None:
    """Return the graph with an id in a file, or in one beside it: JSON, YAML, or Python with that id as its name.

    Raises:
        GraphInvalid: It cannot run.
    """
    if file.has(graph_id):
        return file.graph(graph_id)
    for beside in sorted(file.path.parent.iterdir(), key=lambda each: (each.stem != graph_id, each.name)):
        if beside == file.path or beside.suffix not in SUFFIXES:
            continue
        if beside.suffix == ".py" and beside.stem != graph_id:
            continue
        if beside.suffix != ".py" and _id_in(beside) != graph_id:
            continue
        other = read_graph_file(beside, registry)
        if other.problems and not other.has(graph_id):
            raise invalid_graph(other.problems, other.left_out)
        if other.has(graph_id):
            return other.graph(graph_id)
    return None


def _id_in(path: Path) -> str | None:
    file = read_file(path, max_bytes=MAX_FILE_BYTES)
    format = format_of_suffix(path.suffix)
    if not isinstance(file, FolderFile) or format is None:
        return None
    try:
        value = read_document(file.data, format).value
    except InvalidInput:
        return None
    return value.get("id") if isinstance(value, dict) else None


def _read_document(file: FolderFile, text: str, registry: Registry) -> GraphFile:
    format = format_of_suffix(file.path.suffix)
    assert format is not None
    try:
        document = read_document(file.data, format)
    except InvalidInput as error:
        return GraphFile(file.path, text, (), _problems(error), error.left_out)
    modules, failures = _modules(document.value, _run_beside(file.path.parent))
    try:
        definition, found = examined(document.value, registry, code=Code(modules=modules))
    except InvalidInput as error:
        return GraphFile(file.path, text, (), document.located((*_problems(error), *failures)), error.left_out)
    if failures:
        return GraphFile(file.path, text, (), document.located(failures))
    warnings = document.located(found.warnings)
    graph = FileGraph(definition, Code(modules=modules), found.references, warnings)
    return GraphFile(file.path, text, (graph,))


def _read_python(file: FolderFile, text: str, registry: Registry, *, needs_graph: bool) -> GraphFile:
    run = _run_beside(file.path.parent, file)
    try:
        module = run.module(file.path.stem)
    except GraphInvalid as error:
        return GraphFile(file.path, text, (), _problems(error))
    found = {id(value): value for value in vars(module).values() if isinstance(value, Graph)}
    for graph in list(found.values()):
        found.update((id(value), value) for value in _given_to(graph))
    graphs: list[FileGraph] = []
    problems: list[Problem] = []
    left_out = 0
    for graph in found.values():
        modules, failures = _modules(graph.value, run)
        code = Code(graph.code.functions, modules={**modules, file.path.stem: module})
        problems += failures
        try:
            definition, checked = examined(graph.value, registry, code=code)
            graphs.append(FileGraph(definition, code, checked.references, checked.warnings))
        except InvalidInput as error:
            problems += _problems(error)
            left_out += error.left_out
    for index, each in enumerate(graphs):
        if any(each.definition.id == other.definition.id for other in graphs[:index]):
            detail = f"the file has two graphs {quoted(each.definition.id)}"
            problems.append(Problem("/id", "duplicate_graph", detail))
    if needs_graph and not found:
        problems.append(Problem("", "no_graph", "the file makes no Graph under a name of its own"))
    return GraphFile(file.path, text, tuple(graphs), tuple(problems), left_out)


def _given_to(graph: Graph) -> Sequence[Graph]:
    try:
        return graph.graphs
    except GraphInvalid:  # as reading its definition tells in a moment
        return ()


def _run_beside(folder: Path, *own: FolderFile) -> PythonRun:
    """Return what runs the Python files of a folder, which may import each other."""
    try:
        found = list(read_files(folder, suffixes=(".py",), max_bytes=MAX_FILE_BYTES))
    except OSError:  # a folder whose files can be opened, and not listed
        found = []
    files = [*(file for file in found if isinstance(file, FolderFile)), *own]
    return PythonRun({file.path.stem: file for file in files}, {}, broken=())


def _modules(value: Any, run: PythonRun) -> tuple[Mapping[str, ModuleType], tuple[Problem, ...]]:
    """Run the Python files of the folder that a definition names, and return them by name."""
    modules: dict[str, ModuleType] = {}
    failures: list[Problem] = []
    for name in sorted(modules_named(value) & run.files.keys()):
        try:
            modules[name] = run.module(name)
        except GraphInvalid as error:
            path = run.files[name].path
            failures += [Problem("", each.code, f"{path.name}: {each.detail}") for each in error.problems]
    return modules, tuple(failures)


def _problems(error: InvalidInput) -> tuple[Problem, ...]:
    return error.problems or (Problem("", error.code, error.detail),)
