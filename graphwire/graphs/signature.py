"""From a function's signature to how a node calls it."""

import inspect
from collections.abc import Callable
from typing import Any, Final

from graphwire.errors import GraphInvalid, Problem, quoted
from graphwire.graphs.behaviour import Call, Missing, Mode, Parameter

_SOURCES: Final = {"ctx": "context", "state": "state"}
_REFUSED: Final = {
    inspect.Parameter.POSITIONAL_ONLY: "is positional-only; a node passes parameters by name",
    inspect.Parameter.VAR_POSITIONAL: "is variable; name each state key that the function reads",
    inspect.Parameter.VAR_KEYWORD: "is variable; name each state key, or take the whole of it as state",
}


def call_of(function: Callable[..., Any]) -> Call:
    """Return the behaviour of a node that calls this function.

    Raises:
        GraphInvalid: With every reason why a node cannot call it; the problems' pointers are "".
    """
    parameters = parameters_of(function)
    return Call(function, mode_of(function), parameters)


def mode_of(function: Callable[..., Any]) -> Mode:
    """Return how the function is called: coroutine functions and async generators on the loop, others in a thread.

    Raises:
        GraphInvalid: It is a plain generator function, whose result would be no value.
    """
    called = _called(function)
    if inspect.iscoroutinefunction(called):
        return Mode.ASYNC
    if inspect.isasyncgenfunction(called):
        return Mode.STREAM
    if inspect.isgeneratorfunction(called):
        name = quoted(getattr(function, "__name__", "function"))
        raise _invalid([f"{name} is a plain generator; write it as async def to stream, or return a value"])
    return Mode.THREAD


def parameters_of(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Return where each parameter's value comes from: ``ctx``, ``state``, else the state key of its name.

    Raises:
        GraphInvalid: With every parameter that cannot be passed by name.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise _invalid(["the function has no signature to read; wrap it in a def"]) from None
    refused = [
        f"the parameter {quoted(name)} {_REFUSED[parameter.kind]}"
        for name, parameter in signature.parameters.items()
        if parameter.kind in _REFUSED
    ]
    if refused:
        raise _invalid(refused)
    return tuple(_parameter(parameter) for parameter in signature.parameters.values())


def reducer_problems(function: Callable[..., Any]) -> list[Problem]:
    """Return why a function cannot be a reducer: it is called on the loop as ``function(old, written)``."""
    called = _called(function)
    if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called) or inspect.isgeneratorfunction(called):
        return [Problem("", "signature_invalid", "a reducer is a plain function, not a coroutine or a generator")]
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return [Problem("", "signature_invalid", "a reducer takes two values, the old and the written one")]
    except ValueError:
        pass  # a built-in without a signature; calling it will tell
    return []


def _parameter(parameter: inspect.Parameter) -> Parameter:
    default = Missing.MISSING if parameter.default is inspect.Parameter.empty else parameter.default
    return Parameter(parameter.name, _SOURCES.get(parameter.name, "key"), default)


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    while hasattr(function, "func") and hasattr(function, "keywords"):  # functools.partial
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__


def _invalid(details: list[str]) -> GraphInvalid:
    return GraphInvalid(details[0], [Problem("", "signature_invalid", detail) for detail in details])
