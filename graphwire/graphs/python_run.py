"""Running files of one folder that import each other."""

from collections.abc import Collection, Mapping
from types import ModuleType

from graphwire.errors import InvalidInput
from graphwire.graphs.folder_files import FolderFile
from graphwire.graphs.python_files import imported_names, run_file


class PythonRun:
    """Runs each file once, when it is asked for or imported.

    Args:
        files: All of the folder, by their stems.
        kept: Modules of those that need not run again.
        broken: Stems of those that must not run.
        imports: What files import, by their stems, where that is known.
    """

    def __init__(
        self,
        files: Mapping[str, FolderFile],
        kept: Mapping[str, ModuleType],
        *,
        broken: Collection[str],
        imports: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self.files = files
        self._imports = imports or {}
        self.broken = set(broken)
        self._modules: dict[str, ModuleType] = dict(kept)

    def module(self, stem: str) -> ModuleType:
        """Return the module of a file.

        Raises:
            GraphInvalid: The file failed.
        """
        known = self._modules.get(stem)
        if known is not None:
            return known

        def begin(module: ModuleType) -> None:
            self._modules[stem] = module

        file = self.files[stem]
        imports = self._imports[stem] if stem in self._imports else imported_names(file)
        sibling = self._sibling if imports & self.files.keys() else None
        try:
            return run_file(file, sibling=sibling, begun=begin)
        except BaseException:
            self._modules.pop(stem, None)
            raise

    def _sibling(self, stem: str) -> ModuleType | None:
        """Give what a file imports. After the run too, for an import inside a function."""
        if stem in self.broken:
            raise ImportError(f"{stem}.py, beside this file, has problems of its own")
        if stem not in self.files:
            return None
        try:
            return self.module(stem)
        except InvalidInput as error:
            self.broken.add(stem)
            raise ImportError(f"{stem}.py, beside this file, has problems of its own") from error
