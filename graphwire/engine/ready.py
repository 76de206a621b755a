"""The ready order where nodes have priorities."""

from collections import deque

from graphwire.engine.attempt import Attempt


class ByPriority(deque[Attempt]):
    """Attempts that may begin: by their nodes' priority, then by the order in which they became ready."""

    def append(self, attempt: Attempt) -> None:
        """Put an attempt behind all that are as important, or more."""
        place = len(self)
        level = attempt.node.level
        while place and self[place - 1].node.level < level:
            place -= 1
        self.insert(place, attempt)
