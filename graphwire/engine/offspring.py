"""Tasks that a node makes: those that it leaves behind are cancelled with its attempt."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol, TypeAlias

Coro: TypeAlias = Coroutine[Any, Any, Any] | Generator[Any, None, Any]
Factory: TypeAlias = Callable[..., "asyncio.Future[Any]"]


class Parent(Protocol):
    """Whose tasks are kept apart.

    Attributes:
        children: Those that are not done; None before the first.
    """

    children: "set[asyncio.Future[Any]] | None"

    @property
    def is_at_work(self) -> bool:
        """Whether what is made now is its."""
        ...


class Offspring:
    """A loop's task factory that knows which tasks were made by a parent's task, or by one that such a task made.

    It costs only where a task is made, so nothing for the nodes that make none. A task that is given a context of its
    own (``create_task(…, context=…)``) is nobody's: it may live on.
    """

    def __init__(self, before: Factory | None) -> None:
        self._before = before
        self._users = 0
        self._parents: dict[asyncio.Future[Any], Parent] = {}

    @classmethod
    def here(cls) -> "Offspring":
        """Return the one of this loop, else a new one that is not in use yet."""
        factory = asyncio.get_running_loop().get_task_factory()
        return factory if isinstance(factory, cls) else cls(factory)

    def enter(self) -> None:
        """It is needed, until as many have left as have entered."""
        if not self._users:
            asyncio.get_running_loop().set_task_factory(self)
        self._users += 1

    def leave(self) -> None:
        """It is needed no more by one of those who have entered."""
        self._users -= 1
        loop = asyncio.get_running_loop()
        if not self._users and loop.get_task_factory() is self:
            loop.set_task_factory(self._before)

    def own(self, task: "asyncio.Future[Any]", parent: Parent) -> None:
        """What this task makes is the parent's."""
        self._parents[task] = parent

    def disown(self, task: "asyncio.Future[Any]") -> None:
        """The task is over."""
        self._parents.pop(task, None)

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Coro, **options: Any) -> "asyncio.Future[Any]":
        before = self._before
        task = asyncio.Task(coro, loop=loop, **options) if before is None else before(loop, coro, **options)
        if options.get("context") is None and self._parents and (current := asyncio.current_task(loop)) is not None:
            parent = self._parents.get(current)
            if parent is not None and parent.is_at_work and not task.done():
                self._adopt(parent, task)
        return task

    def _adopt(self, parent: Parent, task: "asyncio.Future[Any]") -> None:
        if parent.children is None:
            parent.children = set()
        parent.children.add(task)
        self._parents[task] = parent
        task.add_done_callback(parent.children.discard)
        task.add_done_callback(self.disown)


def end_children(parent: Parent) -> int:
    """Cancel what a parent's work has left behind; return how many there were."""
    left = [child for child in parent.children or () if not child.done()]
    parent.children = None
    for child in left:
        child.cancel()
    return len(left)
