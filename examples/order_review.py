"""An order on its way to the customer.

Shows conditions, a loop, an error edge, and a merge with a reducer:

- ``price`` always leads to ``check_stock``, and to ``check_fraud`` only for large orders; ``quote`` waits for those
  that were taken, and for no other.
- Both checks write ``notes`` at the same time. Its reducer is ``extend``, so the notes of both are kept where they
  meet; without it the last one would win.
- ``quote`` and ``judge`` go round until the offer is good enough.
- Where ``charge_card`` fails, its error edge leads to ``send_invoice``, and the order goes on.

Start it with {"state": {"card_limit": 5000}} to have the card accepted, or with a smaller ``order`` to skip the fraud
check.
"""

from typing import Any

from graphwire import Context, Graph

ORDER = {
    "id": "A-1001",
    "customer": {"name": "Ada", "country": "NO", "ship_to": "SE"},
    "items": [
        {"sku": "desk", "quantity": 1, "price": 480.0},
        {"sku": "lamp", "quantity": 3, "price": 45.5},
    ],
}


class CardRefused(Exception):
    """The bank said no."""


def price(order: dict[str, Any]) -> dict[str, Any]:
    """Add up what the order costs."""
    total = sum(item["quantity"] * item["price"] for item in order["items"])
    return {"total": round(total, 2), "notes": [f"{len(order['items'])} items cost {total:.2f}"]}


def check_stock(order: dict[str, Any], stock: dict[str, int]) -> dict[str, Any]:
    """See what has to be ordered from the maker."""
    short = [item["sku"] for item in order["items"] if stock.get(item["sku"], 0) < item["quantity"]]
    return {"short": short, "notes": [f"to be made: {sku}" for sku in short] or ["all in stock"]}


def check_fraud(order: dict[str, Any], total: float) -> dict[str, Any]:
    """Look for signs that somebody else is paying."""
    abroad = order["customer"]["country"] != order["customer"]["ship_to"]
    risk = round(0.1 + 0.2 * abroad + min(total / 10_000, 0.5), 2)
    return {"risk": risk, "notes": [f"risk {risk:.0%}" + (", shipped abroad" if abroad else "")]}


async def quote(ctx: Context, total: float, short: list[str], rounds: int) -> dict[str, Any]:
    """Make an offer, a little better than the last one; more so if the customer has to wait."""
    discount = round((0.01 + 0.01 * len(short)) * (rounds + 1), 2)
    await ctx.emit({"round": rounds + 1, "discount": discount}, scope="offer")
    return {"rounds": rounds + 1, "discount": discount, "due": round(total * (1 - discount), 2)}


def charge_card(due: float, card_limit: float) -> dict[str, Any]:
    """Take the money, if the bank lets us."""
    if due > card_limit:
        raise CardRefused(f"{due:.2f} is more than the card's limit of {card_limit:.2f}")
    return {"payment": "card", "notes": [f"{due:.2f} charged"]}


graph = (
    Graph(
        "order_review",
        name="Order review",
        description="Conditions, a loop until an offer is good enough, an error edge, and a merge with a reducer.",
        state={
            "order": ORDER,
            "stock": {"desk": 4, "lamp": 1},
            "card_limit": 500.0,
            "good_enough": 0.8,
            "rounds": 0,
            "notes": [],
        },
        reducers={"notes": "extend"},
    )
    .node(price)
    .node(check_stock)
    .node(check_fraud)
    .node(quote)
    .node("judge", "transform", {"set": {"score": "round(0.5 + 3 * state.discount - get(state, 'risk', 0) / 5, 2)"}})
    .node(charge_card)
    .node("send_invoice", "transform", {"set": {"payment": "'invoice'", "notes": "['invoice over ' + str(state.due)]"}})
    .node(
        "confirm",
        "template",
        {"text": "Dear {{ state.order.customer.name }}, {{ state.due }} by {{ state.payment }}. Thank you!"},
        output="confirmation",
    )
    .edge(price, check_stock)
    .edge(price, check_fraud, when="state.total > 200", label="large orders")
    .edge(check_stock, quote)
    .edge(check_fraud, quote)
    .edge(quote, "judge")
    .edge("judge", quote, when="state.score < state.good_enough and state.rounds < 20", label="try again")
    .edge("judge", charge_card, else_=True, label="good enough")
    .edge(charge_card, "confirm")
    .edge(charge_card, "send_invoice", on="error", label="refused")
    .edge("send_invoice", "confirm")
)
