"""The page of problem codes, written from the classes of errors."""

from collections.abc import Iterator

from app.api import problems
from graphwire.errors import GraphwireError, NodeError
from tests.docs.schema_words import prose
from tests.docs.tables import REFERENCE

PAGE = REFERENCE / "problems.md"

_HEAD = """\
# Problems

Written from the code by `make docs`; a test compares the two.

Every error of the service is `application/problem+json`; [the wire](wire.md#problems) has its members.
`code` is stable: act on it, not on `title` or `detail`.
A running service explains a code at `/problems/{code}`.

## In answers
"""
_IN_EXECUTIONS = """
## In executions

These stand in the `error` of events, in the key `errors` of the state, and in what `GET /executions/{id}` shows.
"""
_WITHOUT_A_CLASS = {
    "interrupted": "The process ended before the execution did.",
    "max_steps_exceeded": "A step beyond `limits.max_steps` was due: mostly a loop that does not end.",
}


def page() -> str:
    """Return the page as it has to be."""
    in_executions = {error.code: prose(error.__doc__ or "") for error in _node_errors(NodeError)} | _WITHOUT_A_CLASS
    answers = "".join(
        f"\n### `{kind.code}` ({kind.status})\n\n{prose(kind.explanation)}\n"
        for kind in sorted(problems.kinds().values(), key=lambda kind: (kind.status, kind.code))
        if kind.code not in in_executions
    )
    failures = "".join(f"\n### `{code}`\n\n{text}\n" for code, text in sorted(in_executions.items()))
    return _HEAD + answers + _IN_EXECUTIONS + failures


def _node_errors(error: type[GraphwireError]) -> Iterator[type[GraphwireError]]:
    yield error
    for subclass in error.__subclasses__():
        yield from _node_errors(subclass)
