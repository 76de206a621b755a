"""The node type ``template``: text with values of the state in it."""

from collections.abc import Iterable

from pydantic import Field

from graphwire.graphs.behaviour import Behaviour, Compute
from graphwire.graphs.code import Code
from graphwire.graphs.definition import MAX_TEXT_LENGTH, NodeDefinition
from graphwire.graphs.registry import ConfigPart, NodeConfig, NodeType, TemplatePart
from graphwire.graphs.templates import compile_template


class TemplateConfig(NodeConfig):
    """The text."""

    text: str = Field(max_length=MAX_TEXT_LENGTH, description="Text with `{{ expression }}`; the result is text.")


class TemplateNode(NodeType[TemplateConfig]):
    """Renders a text."""

    name = "template"
    title = "Template"
    description = "Puts values of the state into a text, which is the node's result."
    config = TemplateConfig

    def parts(self, config: TemplateConfig) -> Iterable[ConfigPart]:
        yield TemplatePart("/text", config.text)

    def prepare(self, node: NodeDefinition, config: TemplateConfig, code: Code) -> Behaviour:
        return Compute(compile_template(config.text).render)
