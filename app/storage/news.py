"""Word that something was stored, for whoever reads it again."""

from collections.abc import Callable


class News:
    """Calls who listens. For one event loop; to ring costs nothing while nobody does."""

    __slots__ = ("_heard",)

    def __init__(self) -> None:
        self._heard: Callable[[], None] | None = None

    def hear(self, heard: Callable[[], None] | None) -> None:
        """Have this called at each ring; None: nothing any more. It must not raise, and does little."""
        self._heard = heard

    def ring(self) -> None:
        """Say that there may be news."""
        if self._heard is not None:
            self._heard()
