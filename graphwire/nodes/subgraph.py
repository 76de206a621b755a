"""The node type ``subgraph``: a graph as a node of another one."""

from collections.abc import Iterable
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from graphwire.graphs.behaviour import Behaviour, Subgraph
from graphwire.graphs.code import Code
from graphwire.graphs.definition import Id, NodeDefinition, parse_body
from graphwire.graphs.fields import Given
from graphwire.graphs.references import Named
from graphwire.graphs.registry import BodyPart, ConfigPart, NodeConfig, NodeType, ReferencePart


class SubgraphConfig(NodeConfig):
    """Which graph."""

    graph: Annotated[Id | None, Given()] = Field(default=None, description="The id of another graph.")
    version: Annotated[int | None, Given()] = Field(
        default=None, ge=1, description="Which version of it; without one the newest when an execution starts."
    )
    body: Annotated[dict[str, Any] | None, Given()] = Field(
        default=None, description="Instead of `graph`: a node object, or `{nodes, edges}`."
    )
    inherit: bool = Field(
        default=True,
        description="Whether it begins with the state here; else with its own initial values and `input` alone.",
    )

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.graph is None) == (self.body is None):
            raise PydanticCustomError("one_graph", "either graph or body says what is run")
        if self.version is not None and self.graph is None:
            raise PydanticCustomError("version_of_graph", "version is that of graph, which is missing")
        return self


class SubgraphNode(NodeType[SubgraphConfig]):
    """Runs a graph in a scope of its own; what it wrote is the node's result."""

    name = "subgraph"
    title = "Subgraph"
    description = (
        "Runs another graph, or one that stands here, with the state as it is; what that wrote is the result. "
        "Each `input` is a state key that it finds there besides."
    )
    config = SubgraphConfig
    takes_input = True
    writes_through = True

    def parts(self, config: SubgraphConfig) -> Iterable[ConfigPart]:
        if config.graph is not None:
            yield ReferencePart("/graph", config.graph, config.version)
        if config.body is not None:
            yield BodyPart("/body", config.body)

    def prepare(self, node: NodeDefinition, config: SubgraphConfig, code: Code) -> Behaviour:
        body = None if config.body is None else parse_body(config.body, graph_id=node.id)
        reference = None if config.graph is None else Named(config.graph, config.version)
        return Subgraph(body, reference, config.inherit)
