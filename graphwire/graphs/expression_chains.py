"""Keys, indexes, slices and methods: what is written behind a value."""

import ast
from typing import TYPE_CHECKING, Any

from graphwire.errors import quoted
from graphwire.graphs.expression_closures import (
    Evaluate,
    Link,
    constant,
    key_reader,
    linked,
    method_called,
    operated,
    state_key_reader,
)
from graphwire.graphs.expression_functions import FUNCTIONS, METHODS
from graphwire.graphs.expression_operations import Fault, Frame, cut, lookup

if TYPE_CHECKING:
    from graphwire.graphs.expression_compiler import Compiler


def compile_chain(compiler: "Compiler", node: ast.expr) -> Evaluate:
    """Compile ``a.b["c"][0].lower()`` from its end to its beginning."""
    links: list[Link] = []
    while True:
        compiler.nodes += 1
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            links.append(_method(compiler, node, node.func))
            node = node.func.value
        elif not isinstance(node, ast.Attribute | ast.Subscript):
            base = compiler.compile(node)
            break
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            links.append(_slice(compiler, node, node.slice))
            node = node.value
        elif compiler.is_state(node.value):
            base = _of_state(compiler, node)
            break
        else:
            links.append(_step(compiler, node))
            node = node.value
    links.reverse()
    return linked(base, links)


def compile_has(compiler: "Compiler", node: ast.Call) -> Evaluate:
    """Compile ``has(a.b["c"])``: true if all that is named is there."""
    here = node.args[0] if len(node.args) == 1 else None
    if not isinstance(here, ast.Attribute | ast.Subscript) or _is_slice(here):
        return compiler.refuse(node, "has asks for a key: has(state.key)")
    keys: list[Evaluate] = []
    innermost: str | None = None
    inner: ast.expr = here
    while isinstance(inner, ast.Attribute | ast.Subscript) and not _is_slice(inner):
        innermost = _literal_key(inner)
        keys.append(_key(compiler, inner))
        inner = inner.value
    base = compiler.container(inner, innermost)
    keys.reverse()

    def has(frame: Frame) -> bool:
        value = base(frame)
        wanted = [key(frame) for key in keys]
        try:
            for key in wanted:
                value = lookup(value, key)
        except Fault:
            return False
        return True

    return has


def _of_state(compiler: "Compiler", node: ast.Attribute | ast.Subscript) -> Evaluate:
    key = _literal_key(node)
    base = compiler.container(node.value, key)
    if key is not None:
        return state_key_reader(compiler.root("state"), key, compiler.place(node))
    return linked(base, [_step(compiler, node)])


def _step(compiler: "Compiler", node: ast.Attribute | ast.Subscript) -> Link:
    key, place = _literal_key(node), compiler.place(node)
    if key is not None:
        return key_reader(key, place)
    return operated(lambda frame, value, index: lookup(value, index), _key(compiler, node), place)


def _key(compiler: "Compiler", node: ast.Attribute | ast.Subscript) -> Evaluate:
    return constant(node.attr) if isinstance(node, ast.Attribute) else compiler.compile(node.slice)


def _slice(compiler: "Compiler", node: ast.Subscript, bounds: ast.Slice) -> Link:
    lower, upper, step = (
        compiler.compile(bound) if bound else constant(None) for bound in (bounds.lower, bounds.upper, bounds.step)
    )

    def cut_out(frame: Frame, value: Any, start: Any) -> Any:
        return cut(frame, value, start, upper(frame), step(frame))

    return operated(cut_out, lower, compiler.place(node))


def _method(compiler: "Compiler", node: ast.Call, name: ast.Attribute) -> Link:
    method = METHODS.get(name.attr)
    if method is None:
        hint = f"write {FUNCTIONS[name.attr].usage}" if name.attr in FUNCTIONS else "there are: " + ", ".join(METHODS)
        compiler.refuse(node, f"there is no method {quoted(name.attr)}; {hint}")
        return lambda frame, value: None
    return method_called(method.call, method.usage, compiler.arguments(node, method), compiler.place(node))


def _literal_key(node: ast.Attribute | ast.Subscript) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    key = node.slice
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None


def _is_slice(node: ast.Attribute | ast.Subscript) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice)
