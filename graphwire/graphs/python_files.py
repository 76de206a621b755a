"""Running the Python files of a graph folder."""

import sys
import traceback
from types import ModuleType

from graphwire.errors import GraphInvalid, Problem, quoted
from graphwire.graphs.builder import LOADED_PREFIX
from graphwire.graphs.folder_files import FolderFile

_DETAIL_LIMIT = 200


def run_file(file: FolderFile) -> ModuleType:
    """Run a file as a module of its own, named by its stem, and return the module.

    In ``sys.modules`` it goes by ``LOADED_PREFIX`` and the stem, so it hides no other module; a file that fails
    leaves there what was there before.

    Raises:
        GraphInvalid: Whatever the file raised, ``SystemExit`` included, with its own line.
    """
    stem = file.path.stem
    if not (stem.isascii() and stem.isidentifier()):
        raise _invalid(f"{quoted(stem)} is no module name; use letters, digits and _ in the file's name")
    name = LOADED_PREFIX + stem
    module = ModuleType(name)
    module.__file__ = str(file.path)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    try:
        exec(compile(file.data, str(file.path), "exec", dont_inherit=True), vars(module))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise _failure(error, str(file.path)) from None
    return module


def _failure(error: BaseException, path: str) -> GraphInvalid:
    if isinstance(error, SyntaxError) and error.filename == path:
        return _invalid(f"syntax error: {error.msg}", error.lineno, error.offset)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return _invalid(f"running the file raised {type(error).__name__}: {_text(error)}", lines[-1] if lines else None)


def _text(error: BaseException) -> str:
    try:
        return quoted(str(error), _DETAIL_LIMIT)
    except Exception:
        return "(its text cannot be read)"


def _invalid(detail: str, line: int | None = None, column: int | None = None) -> GraphInvalid:
    return GraphInvalid(detail, [Problem("", "code_failed", detail, line, column)])
