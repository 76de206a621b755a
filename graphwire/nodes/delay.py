"""The node type ``delay``: waiting."""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from graphwire.errors import InputError
from graphwire.graphs.behaviour import Behaviour, StateReader, Wait
from graphwire.graphs.code import Code
from graphwire.graphs.definition import ExpressionText, NodeDefinition
from graphwire.graphs.expressions import compile_expression
from graphwire.graphs.fields import OneProblem
from graphwire.graphs.registry import ConfigPart, ExpressionPart, NodeConfig, NodeType

MAX_DELAY_S: Final = 3600


class DelayConfig(NodeConfig):
    """How long."""

    seconds: Annotated[
        Annotated[float, Field(ge=0, le=MAX_DELAY_S, allow_inf_nan=False)] | ExpressionText,
        OneProblem(f"must be a number from 0 to {MAX_DELAY_S:,}, or an expression of at most 4,096 characters"),
    ] = Field(description="From 0 to 3600, or an expression that gives it.")


class DelayNode(NodeType[DelayConfig]):
    """Waits, and gives no result."""

    name = "delay"
    title = "Delay"
    description = "Waits for a number of seconds."
    config = DelayConfig

    def parts(self, config: DelayConfig) -> Iterable[ConfigPart]:
        if isinstance(config.seconds, str):
            yield ExpressionPart("/seconds", config.seconds)

    def prepare(self, node: NodeDefinition, config: DelayConfig, code: Code) -> Behaviour:
        if not isinstance(config.seconds, str):
            fixed = config.seconds
            return Wait(lambda state: fixed)
        expression = compile_expression(config.seconds)

        def seconds(state: StateReader) -> float:
            value = expression.evaluate({"state": state})
            if type(value) not in (int, float) or not 0 <= value <= MAX_DELAY_S:
                raise InputError(f"the seconds of a delay are a number from 0 to {MAX_DELAY_S:,}")
            return float(value)

        return Wait(seconds)
