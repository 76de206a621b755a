"""The page of problem codes, written from the classes of errors."""

from app.api import problems
from tests.docs.schema_words import prose
from tests.docs.tables import REFERENCE

PAGE = REFERENCE / "problems.md"

_HEAD = """\
# Problems

Written from the code by `make docs`; a test compares the two.

Every error of the service is `application/problem+json`; [the wire](wire.md#problems) has its members.
`code` is stable: act on it, not on `title` or `detail`.
A running service explains a code at `/problems/{code}`, and lists all of them at `/problems`.
Each is followed by what to do next.

## In answers
"""
_IN_EXECUTIONS = """
## In executions

These stand in the `error` of events, in the key `errors` of the state, and in what `GET /executions/{id}` shows.
"""


def page() -> str:
    """Return the page as it has to be."""
    kinds = sorted(problems.kinds().values(), key=lambda kind: (kind.status or 0, kind.code))
    answers = "".join(_section(kind, f" ({kind.status})") for kind in kinds if kind.status)
    failures = "".join(_section(kind, "") for kind in kinds if not kind.status)
    return _HEAD + answers + _IN_EXECUTIONS + failures


def _section(kind: problems.Kind, status: str) -> str:
    return f"\n### `{kind.code}`{status}\n\n{prose(kind.explanation)}\n\n{prose(kind.advice)}\n"
