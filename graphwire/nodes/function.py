"""The node type ``function``: a Python function."""

from collections.abc import Iterable

from pydantic import Field

from graphwire.graphs.behaviour import Behaviour
from graphwire.graphs.code import Code
from graphwire.graphs.definition import NodeDefinition
from graphwire.graphs.registry import CodePart, ConfigPart, NodeConfig, NodeType
from graphwire.graphs.signature import call_of


class FunctionConfig(NodeConfig):
    """Which function."""

    function: str = Field(
        min_length=3,
        max_length=300,
        description="`module:name`, among the code that came with the graph; nothing is imported for it.",
    )


class FunctionNode(NodeType[FunctionConfig]):
    """Calls a function; its parameters are state keys, unless ``input`` says otherwise."""

    name = "function"
    title = "Function"
    description = "Calls a Python function of the graph's own code with state keys as arguments."
    config = FunctionConfig
    takes_input = True
    uses_code = True

    def parts(self, config: FunctionConfig) -> Iterable[ConfigPart]:
        yield CodePart("/function", config.function)

    def prepare(self, node: NodeDefinition, config: FunctionConfig, code: Code) -> Behaviour:
        return call_of(code.resolve(config.function))
