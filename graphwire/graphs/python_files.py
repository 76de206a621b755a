"""Running the Python files of a graph folder."""

import ast
import builtins
import sys
import traceback
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any, TypeAlias

from graphwire.errors import GraphInvalid, Problem, quoted
from graphwire.graphs.builder import LOADED_PREFIX
from graphwire.graphs.folder_files import FolderFile

_DETAIL_LIMIT = 200

Sibling: TypeAlias = Callable[[str], ModuleType | None]
"""Gives the module of another file of the folder by its stem; None if there is no such file."""


def run_file(
    file: FolderFile, *, sibling: Sibling | None = None, begun: Callable[[ModuleType], None] | None = None
) -> ModuleType:
    """Run a file as a module of its own, named by its stem, and return the module.

    In ``sys.modules`` it goes by ``LOADED_PREFIX`` and the stem, so it hides no other module; a file that fails
    leaves there what was there before.

    Args:
        file: What to run.
        sibling: Finds what the file imports, now or later, and Python does not.
        begun: Takes the module before it runs: files may import each other.

    Raises:
        GraphInvalid: Whatever the file raised, ``SystemExit`` included, with its own line.
    """
    stem = file.path.stem
    if not is_module_name(stem):
        raise code_failed(f"{quoted(stem)} is no module name; use letters, digits and _ in the file's name")
    name = LOADED_PREFIX + stem
    module = ModuleType(name)
    module.__file__ = str(file.path)
    if sibling is not None:
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _importing(sibling)}
    if begun is not None:
        begun(module)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    try:
        exec(compile(file.data, str(file.path), "exec", dont_inherit=True), vars(module))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if before is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = before
        raise _failure(error, str(file.path)) from None
    return module


def imported_names(file: FolderFile) -> frozenset[str]:
    """Return the modules that a file imports anywhere by a name without dots; none if it does not parse."""
    try:
        tree = ast.parse(file.data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            names.add(node.module)
    return frozenset(names)


def line_of(frame: FrameType | None, path: str) -> int | None:
    """Return the innermost line of a file among a frame and its callers."""
    while frame is not None:
        if frame.f_code.co_filename == path:
            return frame.f_lineno
        frame = frame.f_back
    return None


def is_module_name(stem: str) -> bool:
    """Say whether a file with this stem can be a module."""
    return stem.isascii() and stem.isidentifier()


def code_failed(detail: str, line: int | None = None, column: int | None = None) -> GraphInvalid:
    """Return the error of a Python file that cannot be used."""
    return GraphInvalid(detail, [Problem("", "code_failed", detail, line, column)])


def _importing(sibling: Sibling) -> Callable[..., Any]:
    def imported(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        try:
            return builtins.__import__(name, globals, locals, fromlist, level)
        except ModuleNotFoundError as error:
            if level or error.name != name:
                raise
            missing = error
        module = sibling(name)  # out of the handler, so that what it raises does not drag the search along
        if module is None:
            raise missing
        return module

    return imported


def _failure(error: BaseException, path: str) -> GraphInvalid:
    if isinstance(error, SyntaxError) and error.filename == path:
        return code_failed(f"syntax error: {error.msg}", error.lineno, error.offset)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return code_failed(f"running the file raised {type(error).__name__}: {_text(error)}", lines[-1] if lines else None)


def _text(error: BaseException) -> str:
    try:
        return quoted(str(error), _DETAIL_LIMIT)
    except Exception:
        return "(its text cannot be read)"
