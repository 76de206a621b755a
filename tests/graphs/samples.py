"""Node types and graphs to check with."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from graphwire.graphs.behaviour import Behaviour, Compute
from graphwire.graphs.code import Code
from graphwire.graphs.definition import GraphDefinition, NodeDefinition, parse_definition
from graphwire.graphs.registry import (
    BodyPart,
    CodePart,
    ConfigPart,
    ExpressionPart,
    NodeConfig,
    NodeType,
    Registry,
    TemplatePart,
)
from graphwire.graphs.signature import call_of


class PlainConfig(NodeConfig):
    limit: int = Field(default=1, ge=1)
    when: str | None = None
    text: str | None = None


class Plain(NodeType[PlainConfig]):
    name, title, description = "plain", "Plain", "Does nothing."
    config = PlainConfig

    def parts(self, config: PlainConfig) -> Iterable[ConfigPart]:
        if config.when is not None:
            yield ExpressionPart("/when", config.when)
        if config.text is not None:
            yield TemplatePart("/text", config.text)

    def prepare(self, node: NodeDefinition, config: PlainConfig, code: Code) -> Behaviour:
        return Compute(lambda state: None)


class CallConfig(NodeConfig):
    function: str


class Call(NodeType[CallConfig]):
    name, title, description = "function", "Function", "Calls a function."
    config = CallConfig
    takes_input = True
    uses_code = True

    def parts(self, config: CallConfig) -> Iterable[ConfigPart]:
        yield CodePart("/function", config.function)

    def prepare(self, node: NodeDefinition, config: CallConfig, code: Code) -> Behaviour:
        return call_of(code.resolve(config.function))


class EachConfig(NodeConfig):
    body: Any


class Each(NodeType[EachConfig]):
    name, title, description = "each", "Each", "Holds a body."
    config = EachConfig

    def parts(self, config: EachConfig) -> Iterable[ConfigPart]:
        yield BodyPart("/body", config.body, frozenset({"item"}))

    def prepare(self, node: NodeDefinition, config: EachConfig, code: Code) -> Behaviour:
        return Compute(lambda state: None)


REGISTRY = Registry([Plain(), Call(), Each()])


def make_value(nodes: Iterable[str | dict[str, Any]], edges: Iterable[str | dict[str, Any]] = (), **fields: Any) -> Any:
    """Return a definition as JSON: nodes by id or as objects, edges as ``a>b`` or as objects."""
    return {
        "id": "sample",
        "nodes": [
            {"id": node, "type": "plain"} if isinstance(node, str) else {"type": "plain"} | node for node in nodes
        ],
        "edges": [
            dict(zip(("source", "target"), edge.split(">"), strict=True)) if isinstance(edge, str) else edge
            for edge in edges
        ],
        **fields,
    }


def make_graph(
    nodes: Iterable[str | dict[str, Any]], edges: Iterable[str | dict[str, Any]] = (), **fields: Any
) -> GraphDefinition:
    """Return the definition of ``make_value``."""
    return parse_definition(make_value(nodes, edges, **fields))
