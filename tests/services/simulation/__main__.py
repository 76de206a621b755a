"""``python -m tests.services.simulation SEED``: play one execution of the simulation again and show what it stored."""

import sys

from graphwire.events.encoding import decode_line
from tests.services.simulation.simulation import check, check_same, play_once
from tests.services.simulation.world import graph


def main(seed: int) -> None:
    """Play a seed without faults and with them."""
    print(graph(seed).to_json().decode())  # noqa: T201  # what the command is for
    outcomes = [play_once(seed, faults=faults) for faults in (False, True)]
    for outcome in outcomes:
        print(outcome.status, outcome.state, f"{outcome.crashes} crashes")  # noqa: T201  # likewise
        for event in outcome.disk.events:
            told = decode_line(event.line)
            print("  ", told.seq, told.type, told.node_id or "", told.activation or "", told.data)  # noqa: T201  # likewise
    for outcome in outcomes:
        check(outcome)
    check_same(*outcomes)


if __name__ == "__main__":
    main(int(sys.argv[1]))
