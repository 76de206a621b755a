"""The node type ``while``: a graph again and again, as long as a condition holds."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from graphwire.graphs.behaviour import Behaviour, While
from graphwire.graphs.code import Code
from graphwire.graphs.definition import MAX_STEPS_CEILING, ExpressionText, NodeDefinition, StateKey, parse_body
from graphwire.graphs.expressions import compile_expression
from graphwire.graphs.fields import Given
from graphwire.graphs.registry import BodyPart, ConfigPart, ExpressionPart, KeyPart, NodeConfig, NodeType


class WhileConfig(NodeConfig):
    """How long, and what."""

    condition: ExpressionText = Field(
        description="An expression that gives true or false, looked at before each iteration."
    )
    body: dict[str, Any] = Field(description="A node object with an `id` of its own, or `{nodes, edges}`.")
    index: Annotated[StateKey | None, Given()] = Field(
        default=None, description="The state key that holds the number of the iteration, from 0; none without it."
    )
    max_iterations: int = Field(
        default=100,
        ge=1,
        le=MAX_STEPS_CEILING,
        description="If the condition holds once more after so many, the attempt fails with `loop_limit_exceeded`.",
    )


class WhileNode(NodeType[WhileConfig]):
    """Runs its body in a scope for each iteration, one after the other; the result is what all of them wrote."""

    name = "while"
    title = "While"
    description = (
        "Runs a node or a graph again and again, each time with what it wrote before, as long as a condition holds; "
        "what it wrote is the result."
    )
    config = WhileConfig
    writes_through = True

    def parts(self, config: WhileConfig) -> Iterable[ConfigPart]:
        keys = frozenset() if config.index is None else frozenset({config.index})
        yield ExpressionPart("/condition", config.condition, keys)
        yield BodyPart("/body", config.body, keys)
        if config.index is not None:
            yield KeyPart("/index", config.index)

    def prepare(self, node: NodeDefinition, config: WhileConfig, code: Code) -> Behaviour:
        return While(
            condition=compile_expression(config.condition),
            body=parse_body(config.body, graph_id=node.id),
            index=config.index,
            max_iterations=config.max_iterations,
        )
