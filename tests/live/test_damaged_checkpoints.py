"""What is stored of past states, changed by somebody with access to the database."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest

from tests.live.control import gates
from tests.live.serving import serving


def alter_records(folder: Path, execution: str, change: Callable[[bytes], bytes], *, seals: bool) -> int:
    """Change the newest stored records of an execution; return the first event that was stored with them."""
    connection = sqlite3.connect(folder / "graphwire.db")
    query = (
        "SELECT first_seq, deltas, deltas_checksum FROM event_chunks"
        " WHERE execution_id = ? AND deltas IS NOT NULL ORDER BY first_seq DESC LIMIT 1"
    )
    (first_seq, records, checksum) = connection.execute(query, (execution,)).fetchone()
    changed = change(records)
    connection.execute(
        "UPDATE event_chunks SET deltas = ?, deltas_checksum = ? WHERE execution_id = ? AND first_seq = ?",
        (changed, crc32(changed) if seals else checksum, execution, first_seq),
    )
    connection.commit()
    connection.close()
    return int(first_seq)


@pytest.mark.bad_input(105)
@pytest.mark.capability("CKP-10")
@pytest.mark.parametrize(
    ("change", "seals"),
    [
        (lambda text: text[:-1] + bytes([text[-1] ^ 1]), False),
        (lambda text: b"not JSON", True),
        (lambda text: text.replace(b'"activation":"', b'"activation":"x'), True),
        (lambda text: text.replace(b'"kind":"commit"', b'"kind":"os.system"'), True),
    ],
    ids=["checksum", "text", "activation", "kind"],
)
async def test_what_was_changed_behind_its_back_is_refused_and_the_next_older_place_is_named(
    tmp_path: Path, change: Callable[[bytes], bytes], seals: bool
) -> None:
    async with serving(tmp_path) as service:
        execution = await service.start("late_talk", state={"count": 0})
        await gates["gate"].reached.wait()
        gates["gate"].opened.set()
        await service.events(execution)
        damaged = alter_records(tmp_path, execution, change, seals=seals)
        last = (await service.client.get(f"/executions/{execution}")).json()["last_seq"]

        refused = await service.client.get(f"/executions/{execution}/state", params={"at": last})
        usable = refused.json()["usable"]
        older = await service.client.get(f"/executions/{execution}/state", params={"at": usable})

    assert (refused.status_code, refused.json()["code"]) == (409, "checkpoint_corrupt")
    assert usable < damaged or usable == 1
    assert older.status_code == 200


async def test_a_damaged_checkpoint_is_listed_as_such(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        execution = (await service.run("chain"))["id"]
        damaged = alter_records(tmp_path, execution, lambda text: text + b" ", seals=False)

        found = (await service.client.get(f"/executions/{execution}/checkpoints")).json()["items"]

    assert found[0] == {
        "seq": damaged, "ts": None, "type": None, "node": None, "activation": None, "path": [], "keys": [],
        "size": 0, "valid": False,
    }  # fmt: skip
