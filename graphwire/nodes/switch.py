"""The node type ``switch``: one of several ways on."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from graphwire.graphs.behaviour import Behaviour, Choose
from graphwire.graphs.code import Code
from graphwire.graphs.definition import ExpressionText, Id, NodeDefinition
from graphwire.graphs.expressions import compile_expression
from graphwire.graphs.fields import FromList, Given
from graphwire.graphs.registry import ConfigPart, ExpressionPart, NodeConfig, NodeType, TargetPart


class Case(NodeConfig):
    """One way on, and when it is taken."""

    when: ExpressionText = Field(description="An expression that gives true or false.")
    then: Id = Field(description="The node to go to: one of the node's edges leads there.")


class SwitchConfig(NodeConfig):
    """The ways on, the first that holds is taken."""

    cases: Annotated[tuple[Case, ...], FromList()] = Field(
        description="At least one `{when, then}`: an expression, and a node that an edge leads to. "
        "They are looked at in order; the first whose `when` holds is taken, and no other.",
        json_schema_extra={"minItems": 1},
    )
    default: Annotated[Id | None, Given()] = Field(
        default=None, description="The node to go to if no case holds; without it the attempt fails with `no_route`."
    )

    @field_validator("cases")
    @classmethod
    def _is_any(cls, cases: tuple[Case, ...]) -> tuple[Case, ...]:
        if not cases:
            raise PydanticCustomError("no_cases", "a switch has at least one case")
        return cases


class SwitchNode(NodeType[SwitchConfig]):
    """Fires one of its edges."""

    name = "switch"
    title = "Switch"
    description = (
        "Goes on to the node of the first case whose condition holds, else to the default. "
        "With `output`, the id of that node is written there."
    )
    config = SwitchConfig

    def parts(self, config: SwitchConfig) -> Iterable[ConfigPart]:
        for index, case in enumerate(config.cases or ()):
            if isinstance(case, Case):  # one that is not sound is none
                yield ExpressionPart(f"/cases/{index}/when", case.when)
                yield TargetPart(f"/cases/{index}/then", case.then)
        if config.default is not None:
            yield TargetPart("/default", config.default)

    def prepare(self, node: NodeDefinition, config: SwitchConfig, code: Code) -> Behaviour:
        return Choose(
            cases=tuple((compile_expression(case.when), case.then) for case in config.cases),
            default=config.default,
            output=node.output,
        )
