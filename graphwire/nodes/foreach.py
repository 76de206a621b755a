"""The node type ``foreach``: a scope of its own for each item of a list."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from graphwire.graphs.behaviour import Behaviour, ForEach
from graphwire.graphs.code import Code
from graphwire.graphs.definition import ExpressionText, NodeDefinition, StateKey, is_single, parse_body
from graphwire.graphs.expressions import compile_expression
from graphwire.graphs.registry import BodyPart, ConfigPart, ExpressionPart, KeyPart, NodeConfig, NodeType


class ForEachConfig(NodeConfig):
    """The items, and what is done with each."""

    items: ExpressionText = Field(description="An expression that gives the list.")
    body: dict[str, Any] = Field(
        description="A node object with an `id` of its own, or `{nodes, edges}`: what each item runs."
    )
    item: StateKey = Field(default="item", description="The state key that holds the item.")
    index: StateKey = Field(
        default="index", validate_default=True, description="The state key that holds its place, from 0."
    )
    max_parallelism: int = Field(default=8, ge=1, le=10_000, description="How many items run at once.")
    on_item_error: Literal["fail", "collect"] = Field(
        default="fail", description="Whether an item's error fails the node, or takes its place in the list."
    )

    @field_validator("index")
    @classmethod
    def _differs_from_item(cls, index: str, info: ValidationInfo) -> str:
        if index == info.data.get("item"):
            raise PydanticCustomError("names", "item and index are two different keys")
        return index


class ForEachNode(NodeType[ForEachConfig]):
    """Runs its body once for each item, some at once; the result is the list of their results in item order."""

    name = "foreach"
    title = "For each"
    description = "Runs a node or a graph for each item of a list; the result lists theirs, in the items' order."
    config = ForEachConfig

    def parts(self, config: ForEachConfig) -> Iterable[ConfigPart]:
        yield ExpressionPart("/items", config.items)
        yield BodyPart("/body", config.body, frozenset({config.item, config.index}))
        yield KeyPart("/item", config.item)
        yield KeyPart("/index", config.index)

    def prepare(self, node: NodeDefinition, config: ForEachConfig, code: Code) -> Behaviour:
        return ForEach(
            items=compile_expression(config.items),
            body=parse_body(config.body, graph_id=node.id),
            single=is_single(config.body),
            item=config.item,
            index=config.index,
            max_parallelism=config.max_parallelism,
            collect=config.on_item_error == "collect",
        )
