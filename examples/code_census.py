"""A census of Python source: how much there is, how long functions get, what is imported most.

Shows real work done in parallel: a folder is searched, its files are split into batches of about the same size,
``foreach`` parses them in worker threads, three nodes evaluate the parts at the same time, and a join makes a report
with a figure (SVG, as text). On the way it tells what it does by progress, log lines and messages.

``folder`` in the state names the folder: the standard library of this Python (the default), one of those in
``GRAPHWIRE_CENSUS_FOLDERS`` (separated as in ``PATH``), or any below them. Test suites and installed packages inside
it are left out; files that do not parse are counted.
"""

import ast
import os
import sysconfig
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from graphwire import DELETE, Context, Graph
from graphwire.errors import InputError

SKIPPED_FOLDERS = frozenset({"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"})
MAX_FILES = 5_000
MAX_FILE_BYTES = 512 * 1024
BATCHES = 24
SHOWN = 15
# Python 3.11 counts the parser's depth for all threads together: two that parse at once fail with a SystemError.
PARSER = threading.Lock()
PARSED_AS = "code_census_source"  # the name under which warnings about the code would be shown


# -- where it may look ---------------------------------------------------------------------------------------------


def allowed_folders() -> list[Path]:
    """Return the folders that may be searched, with all below them."""
    named = os.environ.get("GRAPHWIRE_CENSUS_FOLDERS", "").split(os.pathsep)
    return [Path(folder).resolve() for folder in (sysconfig.get_paths()["stdlib"], *named) if folder]


def checked_folder(folder: object) -> Path:
    """Return a folder that may be searched. Every node asks again: a start may begin at any of them."""
    if not isinstance(folder, str) or "\0" in folder:
        raise InputError("folder is the path of a folder, as text")
    path = Path(folder).resolve()
    if not any(path.is_relative_to(allowed) for allowed in allowed_folders()):
        raise InputError("this folder is not among those that may be searched; see GRAPHWIRE_CENSUS_FOLDERS")
    if not path.is_dir():
        raise InputError("this folder does not exist")
    return path


# -- finding -------------------------------------------------------------------------------------------------------


def find_files(ctx: Context, folder: str | None = None) -> dict[str, Any]:
    """List the Python files of the folder, with their sizes."""
    root = checked_folder(sysconfig.get_paths()["stdlib"] if folder is None else folder)
    files: list[list[Any]] = []
    skipped = 0
    for path, size in python_files(root):
        if ctx.cancelled or len(files) == MAX_FILES:
            break
        if size > MAX_FILE_BYTES:
            skipped += 1
            continue
        files.append([path.relative_to(root).as_posix(), size])
        if len(files) % 250 == 0:
            ctx.progress(len(files), message="files found")
    ctx.log(f"{len(files):,} files", too_large=skipped)
    return {"folder": str(root), "files": files}


def python_files(root: Path) -> Iterator[tuple[Path, int]]:
    """Give the regular Python files below a folder, without following links, in a fixed order."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if name not in SKIPPED_FOLDERS)
        for name in sorted(names):
            path = Path(folder, name)
            if name.endswith(".py") and path.is_file() and not path.is_symlink():
                yield path, path.stat().st_size


def split(ctx: Context, files: list[list[Any]]) -> dict[str, Any]:
    """Deal the files out, the largest first, so that the batches take about as long."""
    batches: list[list[str]] = [[] for _ in range(min(BATCHES, len(files)))]
    for place, (path, _) in enumerate(sorted(files, key=lambda file: -file[1])):
        batches[place % len(batches)].append(path)
    ctx.log(f"{len(batches)} batches")
    return {"batches": batches, "files": DELETE}


# -- parsing -------------------------------------------------------------------------------------------------------


def parse_batch(ctx: Context, folder: str, item: list[str], index: int) -> dict[str, Any]:
    """Parse the files of one batch, and sum up what is in them."""
    root = checked_folder(folder)
    warnings.filterwarnings("ignore", module=PARSED_AS)  # of old code there is much to warn
    part = Part()
    for number, name in enumerate(item, 1):
        if ctx.cancelled:
            break
        path = (root / name).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            raise InputError("a file is not below the folder")
        try:
            part.add(name, path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            part.broken.append(name)
            ctx.log(f"{name} does not parse", level="warning", error=type(error).__name__)
        if number % 10 == 0 or number == len(item):
            ctx.progress(number, len(item))
    ctx.emit({"batch": index, "files": part.files, "lines": part.lines}, scope="batch")
    return part.value()


class Part:
    """What is known of some files."""

    def __init__(self) -> None:
        self.files = self.lines = self.bytes = self.classes = self.functions = 0
        self.broken: list[str] = []
        self.packages: Counter[str] = Counter()
        self.imports: Counter[str] = Counter()
        self.longest: list[tuple[int, str, str, int]] = []

    def add(self, name: str, source: bytes) -> None:
        """Count one file. Raises what ``ast.parse`` raises, and has counted nothing then."""
        with PARSER:
            tree = ast.parse(source, PARSED_AS)
        statements = list(all_statements(tree))
        self.files += 1
        self.bytes += len(source)
        lines = source.count(b"\n") + (not source.endswith(b"\n"))
        self.lines += lines
        self.packages[name.partition("/")[0].removesuffix(".py")] += lines
        imported: set[str] = set()
        for statement in statements:
            match statement:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self.functions += 1
                    length = (statement.end_lineno or statement.lineno) - statement.lineno + 1
                    self.longest.append((length, statement.name, name, statement.lineno))
                case ast.ClassDef():
                    self.classes += 1
                case ast.Import():
                    imported.update(alias.name.partition(".")[0] for alias in statement.names)
                case ast.ImportFrom(module=str(module), level=0):
                    imported.add(module.partition(".")[0])
        self.imports.update(imported)
        self.longest = sorted(self.longest, reverse=True)[:SHOWN]

    def value(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            "counts": {
                "files": self.files,
                "lines": self.lines,
                "bytes": self.bytes,
                "classes": self.classes,
                "functions": self.functions,
                "broken": len(self.broken),
            },
            "broken": self.broken,
            "packages": self.packages,
            "imports": self.imports,
            "longest": self.longest,
        }


def all_statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Give the statements of a file, inner ones too. Far quicker than all nodes, and without recursion."""
    waiting: list[Any] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, field, None)
            if isinstance(inner, list):  # a conditional expression has a body, too
                waiting.extend(inner)


# -- reporting -----------------------------------------------------------------------------------------------------


def sizes(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up the counts, and what each package has of the lines."""
    counts: Counter[str] = Counter()
    packages: Counter[str] = Counter()
    for part in parts:
        counts.update(part["counts"])
        packages.update(part["packages"])
    return {"counts": counts, "packages": ranked(packages)}


def longest_functions(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Name the longest functions."""
    every = sorted((tuple(found) for part in parts for found in part["longest"]), reverse=True)
    return [
        {"function": name, "file": file, "line": line, "lines": length} for length, name, file, line in every[:SHOWN]
    ]


def most_imported(parts: list[dict[str, Any]]) -> list[list[Any]]:
    """Say which modules the most files import."""
    imports: Counter[str] = Counter()
    for part in parts:
        imports.update(part["imports"])
    return ranked(imports)


def ranked(counts: Counter[str]) -> list[list[Any]]:
    """Return the largest counts, in an order that does not depend on who was first."""
    return [[name, count] for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:SHOWN]]


def write_report(
    folder: str,
    sizes: dict[str, Any],
    longest_functions: list[dict[str, Any]],
    most_imported: list[list[Any]],
) -> dict[str, Any]:
    """Put everything together, and tidy up what was only needed on the way."""
    report = {
        "folder": folder,
        **sizes,
        "longest_functions": longest_functions,
        "most_imported": most_imported,
    }
    figure = bars("Files that import …", most_imported)
    interim = ("batches", "parts", "sizes", "longest_functions", "most_imported")
    return {"report": report, "figure": figure, **dict.fromkeys(interim, DELETE)}


def bars(title: str, rows: list[list[Any]]) -> str:
    """Draw a bar chart as SVG."""
    width, left, step = 640, 160, 24
    largest = max((count for _, count in rows), default=1)
    drawn = [f'<text x="8" y="20" font-weight="bold">{escape(title)}</text>']
    for place, (name, count) in enumerate(rows):
        top = 36 + place * step
        length = round((width - left - 70) * count / largest, 1)
        drawn += [
            f'<text x="{left - 8}" y="{top + 14}" text-anchor="end">{escape(str(name))}</text>',
            f'<rect x="{left}" y="{top}" width="{length}" height="18" rx="3" fill="#4c78a8"/>',
            f'<text x="{left + length + 6}" y="{top + 14}">{count:,}</text>',
        ]
    height = 48 + len(rows) * step
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
    return f'{head} font-size="13">{"".join(drawn)}</svg>'


graph = (
    Graph(
        "code_census",
        name="Code census",
        description="Parses a folder of Python source in parallel, and reports sizes, long functions and imports.",
    )
    .node(find_files)
    .node(split)
    .node(
        "parse",
        "foreach",
        {
            "items": "state.batches",
            "body": {"id": "parse_batch", "type": "function", "config": {"function": parse_batch}},
            "max_parallelism": 4,
        },
        output="parts",
    )
    .node(sizes, output="sizes")
    .node(longest_functions)
    .node(most_imported)
    .node(write_report)
    .edge(find_files, split)
    .edge(split, "parse")
    .edge("parse", sizes)
    .edge("parse", longest_functions)
    .edge("parse", most_imported)
    .edge(sizes, write_report)
    .edge(longest_functions, write_report)
    .edge(most_imported, write_report)
)
