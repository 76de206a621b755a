"""Node types: what one must offer, and the set of those that definitions may name."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from graphwire.errors import GraphInvalid, Problem, quoted
from graphwire.graphs.behaviour import Behaviour
from graphwire.graphs.code import Code
from graphwire.graphs.definition import NodeDefinition
from graphwire.graphs.shape import invalid_graph, parse_model
from graphwire.near_names import near_name


class NodeConfig(BaseModel):
    """The base of the types' config models: nothing is converted, nothing unknown passes, nothing changes."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


Config = TypeVar("Config", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ExpressionPart:
    """An expression over the state in a config, with its pointer relative to the config.

    Attributes:
        keys: The state keys that it finds beyond those of the node.
    """

    pointer: str
    text: str
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TemplatePart:
    """A text with ``{{ expressions }}`` in a config."""

    pointer: str
    text: str


@dataclass(frozen=True, slots=True)
class CodePart:
    """A reference ``module:name`` in a config, to the function that the node calls with its parameters."""

    pointer: str
    reference: str


@dataclass(frozen=True, slots=True)
class BodyPart:
    """A graph inside a config: a node object, or ``{nodes, edges}``.

    Attributes:
        value: As JSON; ``definition.parse_body`` reads it.
        keys: The state keys that the body finds beyond those of its opener.
    """

    pointer: str
    value: Any
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KeyPart:
    """A state key that a config names and the node writes.

    Attributes:
        is_result: It is a key of the node's result, which ``output`` puts under one key.
    """

    pointer: str
    key: str
    is_result: bool = False


@dataclass(frozen=True, slots=True)
class ReferencePart:
    """The id of another graph, which the node runs.

    Attributes:
        version: None for the newest when an execution starts.
    """

    pointer: str
    graph: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class TargetPart:
    """The id of a node that one of the node's edges leads to, which fires only if the node chooses it.

    The node's edges on success lead to such nodes only, and have no conditions of their own.
    """

    pointer: str
    node: str


@dataclass(frozen=True, slots=True)
class SchemaPart:
    """A JSON Schema in a config, and perhaps a value that is to fit it.

    Attributes:
        value_pointer: Of the value; "" where there is none.
    """

    pointer: str
    schema: Mapping[str, Any]
    value_pointer: str = ""
    value: Any = None


ConfigPart: TypeAlias = (
    ExpressionPart | TemplatePart | CodePart | BodyPart | KeyPart | ReferencePart | TargetPart | SchemaPart
)


class NodeType(ABC, Generic[Config]):
    """A kind of node. Stateless: one instance serves all nodes of all graphs.

    Attributes:
        name: What ``type`` says in a definition.
        config: The model of a node's ``config``.
        takes_input: Nodes may have ``input``, because the type has parameters.
        uses_code: Its config names code, so it cannot come over the network.
        has_effects: What ``effects`` is where a node does not say it: running twice would be seen outside.
        writes_through: What a graph in its config writes is written by the node: any state keys.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    config: type[Config]
    takes_input: ClassVar[bool] = False
    uses_code: ClassVar[bool] = False
    has_effects: ClassVar[bool] = False
    writes_through: ClassVar[bool] = False

    def parse(self, node: NodeDefinition) -> Config:
        """Return the node's config.

        Raises:
            GraphInvalid: It does not fit; pointers are relative to the node (``/config/…``).
        """
        try:
            return parse_model(self.config, node.config, at="/config")
        except GraphInvalid as error:
            if "config" in node.model_fields_set:
                raise
            raise invalid_graph([_without_config(problem) for problem in error.problems], error.left_out) from None

    def parts(self, config: Config) -> Iterable[ConfigPart]:
        """Give what in a config is more than data, in the order of its fields: validation checks it.

        Of a config with problems the sound fields are checked all the same: one that is not has its default, or None
        if the model requires it, and what is given for it is not looked at.
        """
        return ()

    @abstractmethod
    def prepare(self, node: NodeDefinition, config: Config, code: Code) -> Behaviour:
        """Return what a node with this config does. Called once per version, after validation found no problem."""


def _without_config(problem: Problem) -> Problem:
    """Say of a field that is missing where it belongs: whoever forgot the config would add it to the node."""
    if problem.code != "missing_field":
        return problem
    field = problem.pointer.rsplit("/", 1)[-1]
    return replace(problem, detail=f'the field "config" with {quoted(field)} is missing')


class Registry:
    """The node types that definitions may name. Immutable."""

    def __init__(self, types: Iterable[NodeType[Any]] = ()) -> None:
        self._types = {each.name: each for each in types}

    def get(self, name: str) -> NodeType[Any] | None:
        """Return the type of this name. Imports nothing, whatever the name looks like."""
        return self._types.get(name)

    def names(self) -> tuple[str, ...]:
        """Return the names, in the order of registration."""
        return tuple(self._types)

    def near(self, name: str) -> str | None:
        """Return the name that is most like this one, if one is like it."""
        return near_name(name, self._types)

    def describe(self) -> list[dict[str, Any]]:
        """Return the types as JSON values, each with the JSON Schema of its config."""
        return [
            {
                "name": each.name,
                "title": each.title,
                "description": each.description,
                "takes_input": each.takes_input,
                "uses_code": each.uses_code,
                "has_effects": each.has_effects,
                "config": each.config.model_json_schema(),
            }
            for each in self._types.values()
        ]
