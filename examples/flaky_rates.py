"""A price in another currency, by an upstream that does not always answer.

Shows retries, and what follows when all attempts have failed. The upstream fails as often as the state says, so the
graph does the same each time: twice by default, and the third attempt succeeds. With ``failures`` 9 the rates of
yesterday, the node's fallback, stand in.
"""

from typing import Any

from graphwire import Context, Graph, Retry

RATES = {"EUR": 1.0, "CHF": 0.93, "SEK": 11.2}
YESTERDAY = {"rates": {"EUR": 1.0, "CHF": 0.95, "SEK": 11.0}, "are_fresh": False}


async def fetch_rates(ctx: Context, failures: int) -> dict[str, Any]:
    """Fail on the first attempts."""
    if ctx.attempt <= failures:
        ctx.log(f"attempt {ctx.attempt}: no answer")
        raise ConnectionError("the upstream hung up")
    return {"rates": RATES, "are_fresh": True}


graph = Graph(
    "flaky_rates",
    name="Flaky rates",
    description="A node whose first attempts fail: retries, and a fallback when none succeeds.",
    state={"amount": 250, "currency": "CHF", "failures": 2},
)
graph.node(
    fetch_rates,
    retry=Retry(max_attempts=4, strategy="fixed", delay_s=0.2, jitter="none", on=("network", "timeout")),
    fallback=YESTERDAY,
)
graph.node("convert", "transform", {"set": {"price": "round(state.amount * state.rates[state.currency], 2)"}})
graph.edge(fetch_rates, "convert")
