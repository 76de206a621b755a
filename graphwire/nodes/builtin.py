"""The node types that every installation has."""

from graphwire.graphs.registry import Registry
from graphwire.nodes.delay import DelayNode
from graphwire.nodes.foreach import ForEachNode
from graphwire.nodes.function import FunctionNode
from graphwire.nodes.human_input import HumanInputNode
from graphwire.nodes.subgraph import SubgraphNode
from graphwire.nodes.switch import SwitchNode
from graphwire.nodes.template import TemplateNode
from graphwire.nodes.transform import TransformNode
from graphwire.nodes.while_ import WhileNode


def builtin_registry() -> Registry:
    """Return the built-in node types."""
    return Registry(
        [
            FunctionNode(),
            TransformNode(),
            TemplateNode(),
            DelayNode(),
            SwitchNode(),
            ForEachNode(),
            WhileNode(),
            SubgraphNode(),
            HumanInputNode(),
        ]
    )
