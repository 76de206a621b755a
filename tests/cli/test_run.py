import json
import subprocess
from pathlib import Path

import pytest

from graphwire.events.encoding import decode_line
from tests.cli.command import COMMAND, Terminal, graphwire

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HELLO = EXAMPLES / "hello.yaml"

TALKATIVE = """
from graphwire import Context, Graph

graph = Graph("talkative", name="[bold]Talk\\x1b[31m")


@graph.node()
async def talk(ctx: Context) -> int:
    ctx.log("first\\nsecond")
    ctx.progress(3, 10, "thirds")
    for word in ("once ", "upon ", "a time"):
        ctx.token(word)
    ctx.token("", final=True)
    return 1
"""

STUBBORN = """
import time

from graphwire import Graph

graph = Graph("stubborn")


@graph.node()
def hold() -> int:
    time.sleep(600)  # until it is killed
    return 1
"""

PATIENT = """
import asyncio

from graphwire import Graph

graph = Graph("patient")


@graph.node()
async def wait() -> int:
    await asyncio.sleep(600)  # until it is cancelled
    return 1
"""

HOLDING = """
import time

from graphwire import Graph

graph = Graph("holding")


@graph.node()
async def spin() -> None:
    while True:
        time.monotonic()
"""

PRINTING = """
from graphwire import Graph

graph = Graph("printing")
print("at import")


@graph.node()
def speak() -> int:
    print("from the node")
    return 1
"""

FAILING = """
from graphwire import Graph

graph = Graph("failing")


@graph.node()
def divide() -> float:
    return 1 / 0
"""


def written(folder: Path, text: str, name: str = "graph.py") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_final_state_goes_to_standard_output_and_all_else_beside_it() -> None:
    done = graphwire("run", HELLO, "--state", '{"name": "Ada"}')

    assert done.returncode == 0
    assert json.loads(done.stdout) == {"name": "Ada", "greeting": "Hello, Ada!", "length": 11}
    assert "greeting done in" in done.stderr
    assert "completed after" in done.stderr


def test_the_state_comes_from_a_file_from_standard_input_or_key_by_key(tmp_path: Path) -> None:
    given = written(tmp_path, '{"name": "Ada"}', "state.json")

    from_file = graphwire("run", HELLO, "-q", "--state", f"@{given}")
    from_input = graphwire("run", HELLO, "-q", "--state", "-", given='{"name": "Bob"}')
    by_key = graphwire("run", HELLO, "-q", "--state", f"@{given}", "--set", "name=Cy")

    states = [json.loads(done.stdout)["name"] for done in (from_file, from_input, by_key)]
    assert states == ["Ada", "Bob", "Cy"]
    assert from_file.stderr == ""


def test_every_event_is_a_line_of_json_and_nothing_else_is_written() -> None:
    done = graphwire("run", HELLO, "--json")

    events = [decode_line(line.encode()) for line in done.stdout.splitlines()]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert (events[0].type, events[-1].type) == ("execution_started", "stream_end")
    assert done.stderr == ""


def test_the_same_seed_in_deterministic_order_gives_the_same_events() -> None:
    runs = [
        graphwire("run", EXAMPLES / "lattice.py", "--json", "--ordering", "deterministic", "--seed", "7") for _ in "12"
    ]

    first, second = ([decode_line(line.encode()) for line in done.stdout.splitlines()] for done in runs)
    assert [(event.type, event.activation) for event in first] == [(event.type, event.activation) for event in second]


def test_a_failed_run_ends_with_status_1_and_says_where(tmp_path: Path) -> None:
    done = graphwire("run", written(tmp_path, FAILING))

    assert done.returncode == 1
    assert "divide failed: ZeroDivisionError" in done.stderr
    assert "exception in divide" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.yaml"], "nowhere.yaml: error[file_unreadable]"),
        ([HELLO, "--state", "[1"], "error: line 1, column 3: expecting ',' delimiter"),
        ([HELLO, "--state", "[1]"], "error: the state is a JSON object"),
        ([HELLO, "--state", "@nowhere"], "error: nowhere: No such file or directory"),
        ([HELLO, "--state", '{"errors": []}'], "error: /state/errors: only the engine writes this key"),
        ([HELLO, "--set", "name"], "error: write key=value, not name"),
        ([HELLO, "--graph", "helo"], 'has no graph "helo"; it has "hello"'),
        ([HELLO, "--timeout", "0"], "--timeout"),
    ],
)
def test_wrong_use_ends_with_status_2_and_a_sentence(arguments: list[str | Path], told: str) -> None:
    done = graphwire("run", *arguments)

    assert done.returncode == 2
    assert told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_time_limit_fails_the_run(tmp_path: Path) -> None:
    done = graphwire("run", written(tmp_path, PATIENT), "--timeout", "0.2")

    assert done.returncode == 1
    assert "the time limit limits.timeout_s of 0.2 s is over" in done.stderr


def test_who_reads_only_the_first_line_ends_the_run_quietly() -> None:
    command = f"{COMMAND} run {EXAMPLES / 'ticker.py'} --json --set interval_ms=1 --set count=1000000 | head -1"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)

    assert json.loads(done.stdout)["seq"] == 1
    assert done.stderr == ""


@pytest.mark.capability("CLN-09")
def test_a_terminal_shows_a_bar_for_each_running_node_and_ctrl_c_cancels(tmp_path: Path) -> None:
    with Terminal(("run", EXAMPLES / "ticker.py", "--set", "count=1000000")) as terminal:
        terminal.wait_for("0 of 1 nodes")
        terminal.wait_for("━━━")
        terminal.press_ctrl_c()
        terminal.wait_for("Cancelling. Once more ends it at once.")
        status = terminal.wait_ended()

    assert status == 130
    assert "cancelled after" in terminal.text


@pytest.mark.capability("CLN-09")
def test_ctrl_c_while_the_command_is_being_loaded_ends_it_quietly(tmp_path: Path) -> None:
    pressed = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise RuntimeError('it went on')\n"
    written(tmp_path, pressed, "typer.py")  # found instead of the real one, which is loaded early

    done = graphwire("run", HELLO, PYTHONPATH=str(tmp_path))

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_second_ctrl_c_ends_a_run_whose_node_holds_on(tmp_path: Path) -> None:
    with Terminal(("run", written(tmp_path, STUBBORN))) as terminal:
        terminal.wait_for("hold")
        terminal.press_ctrl_c()
        terminal.wait_for("Cancelling.")
        terminal.press_ctrl_c()

        assert terminal.wait_ended() == 130
        assert terminal.raw.rfind(b"\x1b[?25h") > terminal.raw.rfind(b"\x1b[?25l")  # the cursor is shown again


def test_what_a_node_says_is_told_line_by_line_and_never_speaks_to_the_terminal(tmp_path: Path) -> None:
    path = written(tmp_path, TALKATIVE)

    with Terminal(("run", path)) as terminal:
        status = terminal.wait_ended()
    piped = graphwire("run", path)

    assert status == 0
    for text in (terminal.text.replace("\r\n", "\n"), piped.stderr):
        assert "talk: first\nsecond" in text
        assert "talk: once upon a time" in text
        assert "\x1b" not in text
    assert "[bold]Talk\\u001b[31m" in terminal.text


def test_a_file_runs_with_those_beside_it_that_it_imports(tmp_path: Path) -> None:
    (tmp_path / "prices.py").write_text("def price():\n    return {'total': 5}\n")
    shop = "from graphwire import Graph\nfrom prices import price\n\nshop = Graph('shop').node(price)\n"
    (tmp_path / "shop.py").write_text(shop)

    done = graphwire("run", tmp_path / "shop.py", "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert '"total":5' in done.stdout.replace(" ", "")


def test_a_second_ctrl_c_ends_a_run_whose_node_holds_the_loop(tmp_path: Path) -> None:
    with Terminal(("run", written(tmp_path, HOLDING))) as terminal:
        terminal.wait_for("0 of 1 nodes")
        terminal.press_ctrl_c()
        terminal.wait_for("Cancelling.")
        terminal.press_ctrl_c()

        assert terminal.wait_ended() == 130


def test_what_the_code_of_a_graph_prints_is_no_result(tmp_path: Path) -> None:
    done = graphwire("run", written(tmp_path, PRINTING), "-q")
    checked = graphwire("validate", written(tmp_path, PRINTING), "--json")

    assert json.loads(done.stdout) == {"speak": 1}
    assert "at import" in done.stderr
    assert "from the node" in done.stderr
    assert json.loads(checked.stdout)["files"][0]["valid"]


def test_an_output_that_cannot_be_written_is_told_before_anything_starts(tmp_path: Path) -> None:
    done = graphwire("run", HELLO, "-o", tmp_path / "nowhere" / "state.json")

    assert done.returncode == 2
    assert done.stderr.endswith("No such file or directory; nothing was started\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">/dev/full", "2>/dev/full"])
def test_streams_that_are_closed_or_full_cost_no_traceback(tmp_path: Path, closed: str) -> None:
    command = f"{COMMAND} run {HELLO} -o {tmp_path}/state.json {closed}"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)

    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "state.json").read_bytes())["length"] == 13


def test_text_that_is_none_is_refused_with_the_state() -> None:
    done = subprocess.run([COMMAND, "run", HELLO, "--set", b"a=\xff"], capture_output=True, timeout=60, check=False)

    assert (done.returncode, b"Traceback" in done.stderr) == (2, False)


def test_problems_of_a_graph_are_no_result(tmp_path: Path) -> None:
    done = graphwire("run", written(tmp_path, "id: x\nnodes: 5\n", "x.yaml"), "--json")

    assert (done.returncode, done.stdout) == (2, "")
    assert "must be a list" in done.stderr


INNER = "id: {id}\nnodes:\n  - {{id: a, type: transform, config: {{set: {{{id}: '1'}}}}}}\n"
OUTER = "id: outer\nnodes:\n  - {{id: sub, type: subgraph, config: {{graph: {graph}}}}}\n"


def test_a_graph_finds_those_that_it_runs_beside_it(tmp_path: Path) -> None:
    (tmp_path / "outer.yaml").write_text(OUTER.format(graph="inner"))
    (tmp_path / "any.yaml").write_text(INNER.format(id="inner"))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "dangerous.py").write_text("raise SystemExit('it ran')\n")

    done = graphwire("run", "-q", str(tmp_path / "outer.yaml"))

    assert json.loads(done.stdout) == {"inner": 1}


def test_a_graph_that_it_does_not_find_is_named(tmp_path: Path) -> None:
    (tmp_path / "outer.yaml").write_text(OUTER.format(graph="nowhere"))

    done = graphwire("run", "-q", str(tmp_path / "outer.yaml"))

    assert done.returncode == 2
    assert 'there is no graph "nowhere"' in done.stderr


def test_of_a_file_with_several_graphs_the_outermost_is_run(tmp_path: Path) -> None:
    (tmp_path / "orders.py").write_text(
        "from graphwire import Graph\n\n"
        "orders = Graph('orders').subgraph('sub', Graph('prices').node('a', 'transform', {'set': {'x': '1'}}))\n"
    )

    assert json.loads(graphwire("run", "-q", str(tmp_path / "orders.py")).stdout) == {"x": 1}
