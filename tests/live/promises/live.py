"""An execution that goes on when its readers have read, so that they are live and yet nobody waits for a clock."""

import json
import random
from typing import Any

from tests.live.control import gates
from tests.live.promises.following import Follower
from tests.live.serving import Service

_LETTERS = ("a", "\u00e9", "\u20ac", "\U0001f600", "\u2028", "\n", '"', "\\", "\r")


class Telling:
    """An execution of ``portions``: each portion of its events comes when a reader has the one before."""

    def __init__(self, service: Service, gate: str, texts: list[list[str]]) -> None:
        self._service = service
        self._gate = gate
        self._texts = texts
        self.execution = ""

    @classmethod
    async def start(cls, service: Service, gate: str, texts: list[list[str]], **body: Any) -> "Telling":
        """Start one; its first portion is told."""
        telling = cls(service, gate, texts)
        telling.execution = await service.start("portions", state={"gate": gate, "texts": texts}, **body)
        return telling

    def go_on(self, portion: int) -> None:
        """Let this portion be told."""
        gates[f"{self._gate} {portion}"].opened.set()

    def go_on_to_the_end(self) -> None:
        """Let everything be told."""
        for portion in range(1, len(self._texts)):
            self.go_on(portion)

    def watch(self, follower: Follower) -> None:
        """Go on when this reader has read the last of a portion."""
        if not follower.events:
            return
        event = json.loads(follower.events[-1].line)
        if event["type"] == "node_message" and "portion" in event["data"]["message"]:
            self.go_on(event["data"]["message"]["portion"] + 1)


def texts_of(chance: random.Random, portions: int, *, each: int = 4, longest: int = 600) -> list[list[str]]:
    """Draw texts of all lengths, with characters of one to four bytes and some that a frame must not hold as such."""
    return [
        ["".join(chance.choices(_LETTERS, k=chance.randint(0, longest))) for _ in range(each)] for _ in range(portions)
    ]


async def history(service: Service, execution: str) -> list[bytes]:
    """Return the stored events' bytes as the address of each gives them."""
    last = (await service.client.get(f"/executions/{execution}")).json()["last_seq"]
    found = [await service.client.get(f"/executions/{execution}/events/{seq}") for seq in range(1, last + 1)]
    return [answer.content for answer in found]
