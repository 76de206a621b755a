"""Requests as methods: each is named once, and awaited on one client and called plainly on the other."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import replace
from functools import wraps
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

from graphwire.client.answers import Page
from graphwire.client.call import Call
from graphwire.client.loop_thread import LoopThread
from graphwire.client.performing import Performer

P = ParamSpec("P")
T = TypeVar("T")


class AsyncResource:
    """Requests about one kind of thing, for asyncio."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer

    def _perform(self, make: Callable[P, Call[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """Return what carries out the request that ``make`` returns."""

        @wraps(make)
        async def method(*args: P.args, **kwargs: P.kwargs) -> T:
            return await self._performer.perform(make(*args, **kwargs))

        return method

    def _iterate(self, make: Callable[P, Call[Page[T]]]) -> Callable[P, AsyncIterator[T]]:
        """Return what gives the items of all pages of the list that ``make`` asks for, one after the other."""

        @wraps(make)
        async def method(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
            call: Call[Page[T]] | None = make(*args, **kwargs)
            while call is not None:
                page = await self._performer.perform(call)
                for item in page.items:
                    yield item
                call = behind(call, page)

        return method


class BlockingResource:
    """Requests about one kind of thing, for callers without an event loop."""

    def __init__(self, performer: Performer, thread: LoopThread) -> None:
        self._performer = performer
        self._thread = thread

    def _perform(self, make: Callable[P, Call[T]]) -> Callable[P, T]:
        """See ``AsyncResource``."""

        @wraps(make)
        def method(*args: P.args, **kwargs: P.kwargs) -> T:
            return self._thread.call(self._performer.perform(make(*args, **kwargs)))

        return method

    def _iterate(self, make: Callable[P, Call[Page[T]]]) -> Callable[P, Iterator[T]]:
        """See ``AsyncResource``."""

        @wraps(make)
        def method(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            call: Call[Page[T]] | None = make(*args, **kwargs)
            while call is not None:
                page = self._thread.call(self._performer.perform(call))
                yield from page.items
                call = behind(call, page)

        return method


class Endpoint(Generic[P, T]):
    """A request, as an attribute of resources."""

    def __init__(self, make: Callable[P, Call[T]]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: AsyncResource, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, instance: BlockingResource, owner: type) -> Callable[P, T]: ...
    def __get__(self, instance: AsyncResource | BlockingResource | None, owner: type) -> Any:
        return self if instance is None else instance._perform(self._make)


class Listing(Generic[P, T]):
    """All items of a list, as an attribute of resources."""

    def __init__(self, make: Callable[P, Call[Page[T]]]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: AsyncResource, owner: type) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, instance: BlockingResource, owner: type) -> Callable[P, Iterator[T]]: ...
    def __get__(self, instance: AsyncResource | BlockingResource | None, owner: type) -> Any:
        return self if instance is None else instance._iterate(self._make)


def behind(call: Call[Page[T]], page: Page[T]) -> Call[Page[T]] | None:
    """Return the request for the page after this one; None where it is the last."""
    return None if page.next is None else replace(call, query={**call.query, "after": page.next})
