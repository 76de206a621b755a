"""A function of the user's, called with each event."""

from collections.abc import Awaitable, Callable, Sequence
from inspect import iscoroutinefunction
from typing import cast

from graphwire.events.encoding import Envelope, decode_line
from graphwire.events.hub import Published
from graphwire.sinks.port import OnlySomeTakenError, Sink


def callback(function: Callable[[Envelope], Awaitable[None] | None], *, name: str | None = None) -> Sink:
    """Return a sink that calls a function with each event.

    Args:
        function: A plain one is called on a thread of its own, a coroutine function on the event loop. When it raises,
            it is called again with the same event, as often as the sink was added for.
        name: What the sink is called; the function's name by default.
    """
    called = name or str(getattr(function, "__name__", "callback"))
    if iscoroutinefunction(function):
        return _Coroutine(cast("Callable[[Envelope], Awaitable[None]]", function), called)
    return _Plain(function, called)


class _Plain:
    def __init__(self, function: Callable[[Envelope], object], name: str) -> None:
        self.name = name
        self._function = function

    def handle(self, events: Sequence[Published]) -> None:
        for taken, event in enumerate(events):
            try:
                self._function(decode_line(event.whole or event.line))
            except BaseException as error:  # border: a user's function
                raise OnlySomeTakenError(taken) from error

    def close(self) -> None:
        """There is nothing to let go of."""


class _Coroutine:
    def __init__(self, function: Callable[[Envelope], Awaitable[None]], name: str) -> None:
        self.name = name
        self._function = function

    async def handle(self, events: Sequence[Published]) -> None:
        for taken, event in enumerate(events):
            try:
                await self._function(decode_line(event.whole or event.line))
            except BaseException as error:  # border: a user's function
                raise OnlySomeTakenError(taken) from error

    async def close(self) -> None:
        """There is nothing to let go of."""
