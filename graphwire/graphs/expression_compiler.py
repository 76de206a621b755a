"""From syntax to closures: an allowlist of syntax nodes; what is not on it does not exist."""

import ast
from collections.abc import Callable, Sequence
from typing import Any

from graphwire.errors import Problem, quoted
from graphwire.graphs.expression_chains import compile_chain, compile_has
from graphwire.graphs.expression_closures import (
    Evaluate,
    Link,
    Place,
    called,
    comprehension,
    constant,
    linked,
    operated,
    slot_reader,
)
from graphwire.graphs.expression_functions import FUNCTIONS, METHODS, Function
from graphwire.graphs.expression_operations import (
    BINARY,
    COMPARISONS,
    MAX_FRACTION,
    MAX_WHOLE,
    Fault,
    Frame,
    kind,
    make,
    negative,
    positive,
    whole,
)
from graphwire.graphs.expression_scanner import Source

LITERALS = {"true": True, "false": False, "null": None}

_FIRST_SLOT = 2  # behind the two budgets
_ROOTS = ("state", "result", "error")
_REFUSED = {
    ast.Tuple: "write a list: [a, b]",
    ast.Set: "write a list: [a, b]",
    ast.SetComp: "write a list: [x for x in …]",
    ast.Starred: "there is no unpacking; add lists with +",
    ast.Slice: "slices belong in brackets: list[1:3]",
}


class Compiler:
    """Compiles one expression, and collects all its problems on the way.

    Attributes:
        keys: The keys of ``state`` that are named; None once the whole of it is used.
        root_slots: Where a frame holds each root that may be used.
        size: How many slots a frame needs: budgets, roots, variables.
        nodes: How many nodes were compiled; what stands in a comprehension costs as many steps a turn.
    """

    def __init__(self, source: Source, roots: frozenset[str]) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.keys: set[str] | None = set()
        self.roots_used: set[str] = set()
        self.root_slots = {root: _FIRST_SLOT + number for number, root in enumerate(sorted(roots))}
        self.size = _FIRST_SLOT + len(roots)
        self._scope: dict[str, int] = {}
        self.nodes = 0
        self._rules: dict[type[ast.expr], Callable[[Any], Evaluate]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Attribute: self._chain,
            ast.Subscript: self._chain,
            ast.Call: self._call,
            ast.BinOp: self._binary,
            ast.UnaryOp: self._unary,
            ast.BoolOp: self._boolean,
            ast.Compare: self._compare,
            ast.IfExp: self._conditional,
            ast.List: self._list,
            ast.Dict: self._dict,
            ast.ListComp: self._list_comprehension,
            ast.GeneratorExp: self._list_comprehension,
            ast.DictComp: self._dict_comprehension,
        }

    def compile(self, node: ast.expr) -> Evaluate:
        """Return the closure that evaluates a node. Where there is a problem, it will never be called."""
        self.nodes += 1
        rule = self._rules.get(type(node))
        if rule is None:
            return self.refuse(node, _REFUSED.get(type(node), "this is not part of expressions"))
        return rule(node)

    def refuse(self, node: ast.expr, detail: str) -> Evaluate:
        """Note a problem at a node."""
        place = self.source.place_of_node(node.lineno, node.col_offset)
        self.problems.append(self.source.problem(place, detail))
        return constant(None)

    def place(self, node: ast.expr) -> Place:
        """Return where a node stands, for errors when it is evaluated."""
        return Place(self.source, node)

    def is_state(self, node: ast.expr) -> bool:
        """Whether a node is the whole state, which is never decoded to look up one key."""
        return isinstance(node, ast.Name) and node.id == "state" and "state" in self.root_slots

    def container(self, node: ast.expr, key: str | None) -> Evaluate:
        """Compile what a key is looked up in; None is a key that is computed."""
        if not self.is_state(node):
            return self.compile(node)
        if key is None:
            self.keys = None
        elif self.keys is not None:
            self.keys.add(key)
        return slot_reader(self.root("state"))

    def root(self, name: str) -> int:
        """Return the slot of a root, and note that it is used."""
        self.roots_used.add(name)
        return self.root_slots[name]

    def arguments(self, node: ast.Call, function: Function, *, skip: int = 0) -> list[Evaluate]:
        """Check the arguments of a call, and compile all but the first ``skip``."""
        count = len(node.args)
        if count < function.least or (function.most is not None and count > function.most):
            self.refuse(node, f"wrong number of arguments: {function.usage}")
        return [self.compile(argument) for argument in node.args[skip:]]

    # -- values ------------------------------------------------------------------------------------------------

    def _constant(self, node: ast.Constant) -> Evaluate:
        value = node.value
        if isinstance(value, str):
            if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
                return self.refuse(node, "the text holds a lone surrogate")
        elif type(value) is int and value > MAX_WHOLE:
            return self.refuse(node, "whole numbers go up to 2^63")
        elif type(value) is float and value > MAX_FRACTION:
            return self.refuse(node, "the number is too large")
        elif value is not None and type(value) not in (bool, int, float):
            return self.refuse(node, "this is not a JSON value")
        return constant(value)

    def _name(self, node: ast.Name) -> Evaluate:
        name = node.id
        if name in self._scope:
            return slot_reader(self._scope[name])
        if name in LITERALS:
            return constant(LITERALS[name])
        if name not in self.root_slots:
            return self.refuse(node, self._unknown(name))
        slot = self.root(name)
        if name != "state":
            return slot_reader(slot)
        self.keys = None

        def read(frame: Frame) -> Any:
            frame[slot] = value = whole(frame[slot])  # decoded once, however often it is used
            return value

        return read

    def _unknown(self, name: str) -> str:
        if name == "has" or name in FUNCTIONS:
            return f"{name} is a function: {FUNCTIONS[name].usage if name in FUNCTIONS else 'has(state.key)'}"
        if name in _ROOTS:
            return f"there is no {name} here, only " + ", ".join(sorted(self.root_slots))
        return f"unknown name {quoted(name)}; a key of the state is written state.{name[:64]}"

    def _list(self, node: ast.List) -> Evaluate:
        parts = [self.compile(each) for each in node.elts]
        size = 16 * len(parts) + 56

        def build(frame: Frame) -> list[Any]:
            make(frame, size)
            return [part(frame) for part in parts]

        return called(build, [], self.place(node))

    def _dict(self, node: ast.Dict) -> Evaluate:
        pairs: list[tuple[Evaluate, Evaluate]] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                self.refuse(value, "there is no unpacking of mappings")
            elif isinstance(key, ast.Constant) and not isinstance(key.value, str):
                self.refuse(key, "keys of a mapping are text")
            else:
                pairs.append((self.compile(key), self.compile(value)))
        size = 64 * len(pairs) + 64

        def build(frame: Frame) -> dict[str, Any]:
            make(frame, size)
            return {_text_key(key(frame)): value(frame) for key, value in pairs}

        return called(build, [], self.place(node))

    # -- operators ---------------------------------------------------------------------------------------------

    def _binary(self, node: ast.expr) -> Evaluate:
        links: list[Link] = []
        while isinstance(node, ast.BinOp):
            self.nodes += 1
            function = BINARY.get(type(node.op).__name__)
            if function is None:
                return self.refuse(node, "this operator is not part of expressions")
            if isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant) and type(node.left.value) is str:
                return self.refuse(node, "% does not format text; write a + str(b)")
            links.append(operated(function, self.compile(node.right), self.place(node)))
            node = node.left
        links.reverse()
        return linked(self.compile(node), links)

    def _unary(self, node: ast.UnaryOp) -> Evaluate:
        inner = self.compile(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda frame: not inner(frame)
        if not isinstance(node.op, ast.USub | ast.UAdd):
            return self.refuse(node, "this operator is not part of expressions")
        return called(negative if isinstance(node.op, ast.USub) else positive, [inner], self.place(node))

    def _boolean(self, node: ast.BoolOp) -> Evaluate:
        first, *others = [self.compile(value) for value in node.values]
        stop_at = isinstance(node.op, ast.Or)

        def decide(frame: Frame) -> Any:
            value = first(frame)
            for other in others:
                if bool(value) is stop_at:
                    return value
                value = other(frame)
            return value

        return decide

    def _conditional(self, node: ast.IfExp) -> Evaluate:
        test, body, other = self.compile(node.test), self.compile(node.body), self.compile(node.orelse)
        return lambda frame: body(frame) if test(frame) else other(frame)

    def _compare(self, node: ast.Compare) -> Evaluate:
        left, place = self.compile(node.left), self.place(node)
        operands = [node.left, *node.comparators]
        pairs = [
            self._comparison(sign, operands[number], operands[number + 1], alone=len(node.ops) == 1)
            for number, sign in enumerate(node.ops)
        ]
        if len(pairs) == 1:
            return linked(left, [operated(*pairs[0], place)])

        def chain(frame: Frame) -> bool:
            value = left(frame)
            for function, right in pairs:
                other = right(frame)
                if not function(frame, value, other):
                    return False
                value = other
            return True

        return called(chain, [], place)

    def _comparison(
        self, sign: ast.cmpop, left: ast.expr, right: ast.expr, *, alone: bool
    ) -> tuple[Callable[[Frame, Any, Any], bool], Evaluate]:
        if isinstance(sign, ast.Is | ast.IsNot):
            if not _is_literal(right):
                self.refuse(right, "is asks for null, true or false only; compare with ==")
            same = isinstance(sign, ast.Is)
            return lambda frame, value, other: (value is other) is same, self.compile(right)
        function = COMPARISONS[type(sign).__name__]
        if isinstance(sign, ast.In | ast.NotIn) and alone and self.is_state(right):
            return function, self.container(right, _text_of(left))
        return function, self.compile(right)

    # -- calls -------------------------------------------------------------------------------------------------

    def _chain(self, node: ast.expr) -> Evaluate:
        return compile_chain(self, node)

    def _call(self, node: ast.Call) -> Evaluate:
        if isinstance(node.func, ast.Attribute):
            return compile_chain(self, node)
        if not isinstance(node.func, ast.Name):
            return self.refuse(node, "only the functions of expressions can be called")
        name = node.func.id
        if name == "has":
            return compile_has(self, node)
        function = FUNCTIONS.get(name)
        if function is None:
            hint = f"write text.{name}()" if name in METHODS else "there are: has, " + ", ".join(FUNCTIONS)
            return self.refuse(node, f"unknown function {quoted(name)}; {hint}")
        if name != "get" or len(node.args) < 2:
            return called(function.call, self.arguments(node, function), self.place(node))
        container = self.container(node.args[0], _text_of(node.args[1]))
        return called(function.call, [container, *self.arguments(node, function, skip=1)], self.place(node))

    # -- comprehensions ----------------------------------------------------------------------------------------

    def _list_comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Evaluate:
        return self._comprehension(node, node.generators, lambda: self.compile(node.elt))

    def _dict_comprehension(self, node: ast.DictComp) -> Evaluate:
        def compile_pair() -> Evaluate:
            key, value = self.compile(node.key), self.compile(node.value)
            return lambda frame: (_text_key(key(frame)), value(frame))

        pairs = self._comprehension(node, node.generators, compile_pair)
        return lambda frame: dict(pairs(frame))

    def _comprehension(
        self, node: ast.expr, generators: Sequence[ast.comprehension], compile_element: Callable[[], Evaluate]
    ) -> Evaluate:
        generator = generators[0]
        if len(generators) > 1:
            return self.refuse(node, "a comprehension has one for; nest two of them")
        values = self.compile(generator.iter)
        outside, nodes_before = self._scope, self.nodes
        self._scope = dict(outside)
        bind = self._bind(generator.target)
        conditions = [self.compile(condition) for condition in generator.ifs]
        element = compile_element()
        self._scope = outside
        return comprehension(values, bind, conditions, element, self.nodes - nodes_before + 1, self.place(node))

    def _bind(self, target: ast.expr) -> Callable[[Frame, Any], None]:
        """Make what puts an item under its name, or its parts under theirs."""
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        slots = []
        for name in names:
            if not isinstance(name, ast.Name) or name.id in LITERALS or name.id in _ROOTS:
                self.refuse(name, "a variable of a comprehension is a new name")
            else:
                self._scope[name.id] = self.size
                slots.append(self.size)
                self.size += 1
        if not isinstance(target, ast.Tuple):
            slot = slots[0] if slots else 0
            return lambda frame, item: frame.__setitem__(slot, item)

        def unpack(frame: Frame, item: Any) -> None:
            if type(item) is not list or len(item) != len(slots):
                raise Fault(f"{kind(item)} does not give {len(slots)} variables")
            for slot, part in zip(slots, item, strict=True):
                frame[slot] = part

        return unpack


def _text_key(key: Any) -> str:
    if type(key) is str:
        return key
    raise Fault(f"keys of a mapping are text, not {kind(key)}")


def _text_of(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id in LITERALS
    return isinstance(node, ast.Constant) and (node.value is None or type(node.value) is bool)
