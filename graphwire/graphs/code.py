"""The code that a graph may name: ``module:name`` resolved among what was given, nothing else."""

import re
from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import Any, Final

from graphwire.errors import GraphInvalid, Problem, quoted
from graphwire.near_names import NearNames

_REFERENCE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_<][A-Za-z0-9_.<>]*(?:#[0-9]+)?")


class Code:
    """Functions by reference.

    Args:
        functions: Callables by their whole reference, ``module:name``.
        modules: Modules by name; every callable that they hold under a public name can be referred to.
        digest: Names the state of the sources (SHA-256, in hex); "" where it is not known.
    """

    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        *,
        modules: Mapping[str, ModuleType] | None = None,
        digest: str = "",
    ) -> None:
        self.functions: Mapping[str, Callable[..., Any]] = dict(functions or {})
        self.modules: Mapping[str, ModuleType] = dict(modules or {})
        self.digest = digest

    def resolve(self, reference: str) -> Callable[..., Any]:
        """Return the callable of this reference. Imports nothing.

        Raises:
            GraphInvalid: There is none; the problem's pointer is "".
        """
        function = self.functions.get(reference)
        return function if function is not None else self._in_module(reference)

    def _in_module(self, reference: str) -> Callable[..., Any]:
        if not is_reference(reference):
            raise _unknown(f"{quoted(reference)} is no reference; write module:name")
        module_name, _, name = reference.partition(":")
        module = self.modules.get(module_name)
        if module is None:
            known = {*self.modules, *(known.partition(":")[0] for known in self.functions)}
            raise _unknown(f"there is no module {quoted(module_name)} among the graph's code", module_name, known)
        found = vars(module).get(name)
        if name.startswith("_") or found is None:
            names = [known for known, value in vars(module).items() if callable(value) and not known.startswith("_")]
            raise _unknown(f"the module {quoted(module_name)} has no function {quoted(name)}", name, names)
        if not callable(found) or isinstance(found, type):
            raise _unknown(f"{quoted(reference)} is no function")
        return found  # type: ignore[no-any-return]  # what a module holds has no type


def modules_named(value: Any) -> set[str]:
    """Return the modules that a definition, as a JSON value, names where code may stand: functions and reducers."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as fields:
                reducers = fields.get("reducers")
                named = [fields.get("function"), *(reducers.values() if isinstance(reducers, dict) else ())]
                found.update(text.partition(":")[0] for text in named if isinstance(text, str) and is_reference(text))
                waiting += fields.values()
            case list() | tuple() as items:
                waiting += items
            case _:
                pass
    return found


def is_reference(text: str) -> bool:
    """Whether a text has the form ``module:name``."""
    return _REFERENCE.fullmatch(text) is not None


def _unknown(detail: str, name: str = "", known: Collection[str] = ()) -> GraphInvalid:
    detail += NearNames()(name, known)
    return GraphInvalid(detail, [Problem("", "unknown_function", detail)])
