"""``human_input``: an attempt that asks, and that goes on with the answer."""

from collections.abc import Mapping
from typing import Any

from graphwire.engine.attempt import Attempt
from graphwire.engine.suspending import Interruption
from graphwire.graphs.behaviour import Ask
from graphwire.values import freeze, thaw


def answer_of(attempt: Attempt, ask: Ask) -> Any:
    """Return what an attempt comes to that has its answer, or goes on without one.

    Raises:
        Interruption: It has not asked yet.
        NodeError: Nobody answered in time, and there is no default; or the question cannot be put.
    """
    asked = attempt.asked
    if asked is not None and asked.failure is not None:
        expired, asked.failure = asked.failure, None
        if not ask.defaults:
            raise expired
        return _result(attempt, ask, ask.defaults[0], None)
    if asked is not None and asked.answers:
        return _result(attempt, ask, thaw(asked.answers[-1]), asked.by)
    payload = freeze(ask.payload(attempt.state.view()))
    raise Interruption(payload, None if ask.schema is None else freeze(ask.schema), ask.timeout_s)


def _result(attempt: Attempt, ask: Ask, answer: Any, by: str | None) -> Any:
    if ask.by is None:
        return answer
    definition = attempt.node.definition
    update = answer if isinstance(answer, Mapping) and definition.output is None else {attempt.node.output: answer}
    return {**update, ask.by: by}
