"""The node type ``transform``: state keys from expressions."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from graphwire.graphs.behaviour import Behaviour, Compute, StateReader
from graphwire.graphs.code import Code
from graphwire.graphs.definition import ExpressionText, NodeDefinition, StateKey
from graphwire.graphs.expressions import compile_expression
from graphwire.graphs.fields import FromList
from graphwire.graphs.registry import ConfigPart, ExpressionPart, KeyPart, NodeConfig, NodeType
from graphwire.json_text import pointer
from graphwire.values import DELETE


class TransformConfig(NodeConfig):
    """What is written, and what is deleted."""

    set: dict[StateKey, ExpressionText] = Field(
        default={}, description="Per state key the expression that gives its value; all read the state as it was."
    )
    delete: Annotated[tuple[StateKey, ...], FromList()] = Field(
        default=(), description="State keys that are to be absent. Deleting what is not there is no error."
    )


class TransformNode(NodeType[TransformConfig]):
    """Computes an update of the state."""

    name = "transform"
    title = "Transform"
    description = "Writes the values of expressions into state keys, and deletes keys."
    config = TransformConfig

    def parts(self, config: TransformConfig) -> Iterable[ConfigPart]:
        for key, text in config.set.items():
            place = f"/set{pointer(key)}"
            yield KeyPart(place, key, is_result=True)
            yield ExpressionPart(place, text)
        for index, key in enumerate(config.delete):
            yield KeyPart(f"/delete/{index}", key, is_result=True)

    def prepare(self, node: NodeDefinition, config: TransformConfig, code: Code) -> Behaviour:
        deleted: dict[str, Any] = dict.fromkeys(config.delete, DELETE)
        expressions = [(key, compile_expression(text)) for key, text in config.set.items()]

        def compute(state: StateReader) -> dict[str, Any]:
            roots = {"state": state}
            return deleted | {key: expression.evaluate(roots) for key, expression in expressions}

        return Compute(compute)
