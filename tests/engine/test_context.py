"""What a node hands over is checked where it does so: nothing reaches the runner that cannot be told."""

from collections.abc import Callable, Generator
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.json import encode

from graphwire import Context, Graph
from graphwire.errors import StateNotSerializable
from graphwire.types import ExecutionId, GraphId
from tests.engine.running import course, nothing


class Done:
    """An awaitable with nothing to wait for; nobody needs to await it."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


class Kept:
    """An emitter that keeps what it is given."""

    def __init__(self) -> None:
        self.emissions: list[tuple[Any, int]] = []

    def __call__(self, attempt: Any, event: Any, size: int) -> Done:
        self.emissions.append((event, size))
        return Done()


def context(kept: Kept) -> Context:
    attempt: Any = SimpleNamespace(
        node=SimpleNamespace(id="n"), activation=SimpleNamespace(id="n:1"), number=1, reason=None
    )
    return Context(attempt, kept, execution_id=ExecutionId("e"), graph_id=GraphId("g"), seed=1, deadline=None)


class Level(StrEnum):
    LOUD = "warning"


class Unprintable:
    def __str__(self) -> str:
        raise SystemExit("no text")


UNFIT: dict[str, Callable[[Context], Any]] = {
    "scope number": lambda ctx: ctx.emit(1, scope=5),  # type: ignore[arg-type]
    "scope bytes": lambda ctx: ctx.emit(1, scope=b"x"),  # type: ignore[arg-type]
    "scope none": lambda ctx: ctx.emit(1, scope=None),  # type: ignore[arg-type]
    "scope surrogate": lambda ctx: ctx.emit(1, scope="\ud800"),
    "message": lambda ctx: ctx.emit(object()),
    "metadata": lambda ctx: ctx.emit(1, unit=object()),
    "metadata name": lambda ctx: ctx.emit(1, **{"\ud800": "x"}),
    "stream number": lambda ctx: ctx.token("a", 5),  # type: ignore[arg-type]
    "stream object": lambda ctx: ctx.token("a", stream_id=Unprintable()),  # type: ignore[arg-type]
    "stream surrogate": lambda ctx: ctx.token("a", "\udfff"),
    "token surrogate": lambda ctx: ctx.token("\udfff"),
    "log surrogate": lambda ctx: ctx.log("\udfff"),
    "log level": lambda ctx: ctx.log("a", level=5),  # type: ignore[arg-type]
    "log level list": lambda ctx: ctx.log("a", level=["info"]),  # type: ignore[arg-type]
    "log fields": lambda ctx: ctx.log("a", n={1, 2}),
    "completed text": lambda ctx: ctx.progress("1"),  # type: ignore[arg-type]
    "completed true": lambda ctx: ctx.progress(True),
    "completed nan": lambda ctx: ctx.progress(float("nan")),
    "total infinite": lambda ctx: ctx.progress(1, float("inf")),
    "total object": lambda ctx: ctx.progress(1, object()),  # type: ignore[arg-type]
    "completed huge": lambda ctx: ctx.progress(1 << 64),
    "progress surrogate": lambda ctx: ctx.progress(1, 2, "\udfff"),
}


@pytest.mark.parametrize("call", UNFIT.values(), ids=UNFIT)
def test_what_is_no_text_or_cannot_be_encoded_is_refused_at_the_call(call: Callable[[Context], Any]) -> None:
    kept = Kept()

    with pytest.raises(StateNotSerializable):
        call(context(kept))

    assert kept.emissions == []


@pytest.mark.parametrize("level", ["loud", "INFO", ""])
def test_a_level_that_there_is_not_is_refused_with_those_that_there_are(level: str) -> None:
    kept = Kept()

    with pytest.raises(ValueError, match=f'"{level}".*debug, info, warning, error'):
        context(kept).log("careful", level=level)

    assert kept.emissions == []


def test_what_reached_the_runner_can_be_encoded() -> None:
    class Text(str):
        __slots__ = ()

    class Number(int):
        __slots__ = ()

    kept = Kept()
    ctx = context(kept)
    ctx.emit(Text("a"), scope=Text("b"), unit=Level.LOUD)
    ctx.emit("a", scope=Level.LOUD)
    ctx.token(Text("a"), Text("b"), final=object())  # type: ignore[arg-type]
    ctx.token(5)  # type: ignore[arg-type]
    ctx.log(Text("a"), level=Level.LOUD)
    ctx.log(ValueError("why"))  # type: ignore[arg-type]
    ctx.progress(Number(1), Number(2), Text("half"))

    assert [encode(event) for event, _ in kept.emissions] == [
        b'{"scope":"b","message":"a","metadata":{"unit":"warning"}}',
        b'{"scope":"warning","message":"a","metadata":{}}',
        b'{"stream_id":"b","text":"a","is_final":true}',
        b'{"stream_id":"default","text":"5","is_final":false}',
        b'{"level":"warning","message":"a","fields":{}}',
        b'{"level":"info","message":"why","fields":{}}',
        b'{"completed":1,"total":2,"message":"half"}',
    ]


def test_the_size_counts_everything_that_is_handed_over() -> None:
    kept = Kept()
    ctx = context(kept)
    large = "x" * 10_000
    ctx.emit(1, note=large)
    ctx.emit(1, scope=large)
    ctx.log("a", note=large)
    ctx.log("ä" * 5_000)
    ctx.token("ä" * 5_000)
    ctx.token("a", large)
    ctx.progress(1, 2, large)

    assert all(10_000 <= size < 10_200 for _, size in kept.emissions)


@pytest.mark.bad_input(89)
async def test_a_node_that_emits_what_cannot_be_told_fails_alone() -> None:
    async def node(ctx: Context) -> None:
        await ctx.emit("a", scope=Unprintable())  # type: ignore[arg-type]

    done = await course(Graph("g").node(node, on_error="continue").node(nothing(), id="after").edge(node, "after"))

    assert done.one("node_failed").error.code == "state_not_serializable"
    assert done.nodes() == ["after"]
    assert done.of("node_message") == []
