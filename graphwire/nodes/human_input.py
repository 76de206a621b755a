"""The node type ``human_input``: a question to a person, whose answer is the result."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from graphwire.graphs.behaviour import Ask, Behaviour, StateReader
from graphwire.graphs.code import Code
from graphwire.graphs.definition import MAX_TEXT_LENGTH, Name, NodeDefinition, StateKey
from graphwire.graphs.fields import FromList, Given, Seconds
from graphwire.graphs.registry import ConfigPart, KeyPart, NodeConfig, NodeType, SchemaPart, TemplatePart
from graphwire.graphs.templates import compile_template


class HumanInputConfig(NodeConfig):
    """What is asked, and of whom."""

    prompt: str = Field(max_length=MAX_TEXT_LENGTH, description="The question: text with `{{ expression }}`.")
    title: Annotated[Name | None, Given()] = Field(default=None, description="A heading for it.")
    schema_: Annotated[dict[str, Any] | None, Given()] = Field(
        default=None,
        alias="schema",
        description="JSON Schema of the answer, a form for whoever shows one; without it any JSON value.",
    )
    timeout_s: Annotated[Seconds | None, Given()] = Field(
        default=None, description="How long an answer is waited for; without it as long as it takes."
    )
    on_timeout: Literal["fail", "default"] = Field(
        default="fail", description="Fail with `interrupt_expired`, or go on with `default`."
    )
    default: Any = Field(default=None, description="The answer where nobody gave one in time.")
    by: Annotated[StateKey | None, Given()] = Field(
        default=None, description="The state key that takes who answered; null where nobody did, or it is not known."
    )
    assignees: Annotated[tuple[Name, ...], FromList()] = Field(
        default=(), description="Who is asked: names for whoever shows the question; anybody may answer."
    )
    metadata: dict[str, Any] = Field(default={}, description="Any JSON object, shown with the question.")

    @model_validator(mode="after")
    def _default_is_for_time_out(self) -> Self:
        if self.on_timeout == "default" and self.timeout_s is None:
            raise PydanticCustomError("timeout_missing", "nothing times out without timeout_s")
        if self.on_timeout == "default" and "default" not in self.model_fields_set:
            raise PydanticCustomError("default_missing", "on_timeout is default, and there is no default")
        if self.on_timeout != "default" and "default" in self.model_fields_set:
            raise PydanticCustomError("default_unused", 'the default is for on_timeout "default" only')
        return self


class HumanInputNode(NodeType[HumanInputConfig]):
    """Suspends its activation until somebody answers."""

    name = "human_input"
    title = "Human input"
    description = (
        "Asks something and waits for the answer, which is the result. It costs nothing meanwhile, and other branches "
        "go on."
    )
    config = HumanInputConfig

    def parts(self, config: HumanInputConfig) -> Iterable[ConfigPart]:
        yield TemplatePart("/prompt", config.prompt)
        if config.schema_ is not None:
            if config.on_timeout == "default":
                yield SchemaPart("/schema", config.schema_, "/default", config.default)
            else:
                yield SchemaPart("/schema", config.schema_)
        if config.by is not None:
            yield KeyPart("/by", config.by)

    def prepare(self, node: NodeDefinition, config: HumanInputConfig, code: Code) -> Behaviour:
        prompt = compile_template(config.prompt)
        shown: dict[str, Any] = {}
        if config.title is not None:
            shown["title"] = config.title
        if config.assignees:
            shown["assignees"] = list(config.assignees)
        if config.metadata:
            shown["metadata"] = config.metadata

        def payload(state: StateReader) -> dict[str, Any]:
            return {"prompt": prompt.render(state), **shown}

        return Ask(
            payload=payload,
            schema=config.schema_,
            timeout_s=config.timeout_s,
            defaults=(config.default,) if config.on_timeout == "default" else (),
            by=config.by,
        )
