"""A graph that asks a person before it goes on.

Shows an interrupt: ``ctx.interrupt`` ends the run of its node, and the execution waits, for as long as it takes and
without a task, until somebody answers with ``POST /executions/{id}/input``. Then the node runs again from its top, and
the call returns the answer. The answer has to fit the JSON Schema that goes with the question.
"""

from typing import Any

from graphwire import Context, Graph

graph = Graph(
    "approval",
    name="Approval",
    description="Asks whether an amount may be paid, and goes on with the answer.",
    state={"amount": 250},
)

ANSWER = {
    "type": "object",
    "properties": {
        "approved": {"type": "boolean", "title": "Approve"},
        "note": {"type": "string", "title": "Note", "maxLength": 200},
    },
    "required": ["approved"],
    "additionalProperties": False,
}


@graph.node()
async def ask(ctx: Context, amount: float) -> dict[str, Any]:
    """Ask; nothing is done before the question, since it would be done again."""
    answer: dict[str, Any] = ctx.interrupt({"question": "May this be paid?", "amount": amount}, schema=ANSWER)
    return answer


@graph.node()
async def pay(amount: float) -> dict[str, Any]:
    """Say that it is paid."""
    return {"outcome": f"{amount:g} paid"}


@graph.node()
async def decline() -> dict[str, Any]:
    """Say that it is not."""
    return {"outcome": "declined"}


graph.edge(ask, pay, when="result.approved")
graph.edge(ask, decline, else_=True)
