"""What an exception becomes, and what follows from it: pure decisions.

A retry policy has its place between the two: it is asked before ``on_error`` and returns a delay.
"""

from graphwire.errors import GraphwireError
from graphwire.events.types import Failure

MAX_MESSAGE = 2_000


def describe(error: BaseException, *, node: str, activation: str, attempt: int) -> Failure:
    """Return the failure that an exception stands for. Never fails, whatever the exception's ``__str__`` does."""
    code = error.code if isinstance(error, GraphwireError) else "exception"
    return Failure(
        code=code,
        type=type(error).__name__[:128],
        message=message_of(error),
        node=node,
        activation=activation,
        attempt=attempt,
    )


def message_of(error: BaseException) -> str:
    """Return an exception's text, cut, with what UTF-8 cannot carry replaced."""
    try:
        text = error.detail if isinstance(error, GraphwireError) else str(error)
        if isinstance(error, BaseExceptionGroup):
            text = "; ".join([text, *(f"{type(inner).__name__}: {inner}" for inner in error.exceptions[:5])])
    except BaseException as broken:  # border: the text is made by the node's own code
        text = f"(no text: its __str__ raised {type(broken).__name__})"
    if len(text) > MAX_MESSAGE:
        text = text[:MAX_MESSAGE] + "…"
    return text.encode("utf-8", "replace").decode("utf-8")
