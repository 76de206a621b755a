"""What a Python file does at import, it does in another process first."""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from graphwire.errors import Problem
from graphwire.graphs.code_trial import CodeTrial, _Trace
from graphwire.graphs.loader import GraphFolder, LoadedFolder

GRAPH = "from graphwire import Graph\ngraph = Graph('made').node('a', 'delay', {'seconds': 0})\n"
SHORT_S = 1.0
LONG_S = 30.0  # for files that end by themselves, however busy the machine is


def load(folder: Path, *, timeout_s: float = LONG_S, **files: str) -> LoadedFolder:
    for stem, source in files.items():
        (folder / f"{stem}.py").write_text(source)
    return GraphFolder(folder, trial=CodeTrial(timeout_s=timeout_s)).load()


def problem(loaded: LoadedFolder) -> Problem:
    ((found,),) = [failure.problems for failure in loaded.failures]
    return found


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    assert [child.cmdline() for child in psutil.Process().children(recursive=True)] == []


@pytest.mark.bad_input(37)
@pytest.mark.parametrize(
    ("source", "line", "column", "text"),
    [
        ("x = 1\ndef f(:\n", 2, 7, "syntax error"),
        ("\nimport nothing_of_this_name\n", 2, None, "ModuleNotFoundError"),
        ("import sys\nsys.exit(3)\n", 2, None, "SystemExit"),
        ("import os\n\nos._exit(0)\n", 3, None, "os._exit(0)"),
        ("import os\nos.abort()\n", 2, None, "SIGABRT"),
        ("import ctypes\nctypes.string_at(0)\n", 2, None, "SIGSEGV"),
        ("raise KeyboardInterrupt\n", None, None, "KeyboardInterrupt"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", None, None, "SIGKILL"),
    ],
)
def test_a_file_that_fails_or_ends_its_process_is_told_by_its_own_line_and_the_others_load(
    tmp_path: Path, source: str, line: int | None, column: int | None, text: str
) -> None:
    loaded = load(tmp_path, bad=source, good=GRAPH)

    found = problem(loaded)
    assert (found.code, found.file, found.line, found.column) == ("code_failed", "bad.py", line, column)
    assert text in found.detail
    assert str(tmp_path) not in found.detail
    assert [each.definition.id for each in loaded.graphs] == ["made"]


@pytest.mark.bad_input(37)
@pytest.mark.parametrize(
    "source",
    [
        "import time\n\nwhile True:\n    pass\n",
        "import re, time\n\nre.match('(a+)+$', 'a' * 60 + 'b')\n",  # holds the interpreter's lock
        "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
        "try:\n    threading.Event().wait()\nexcept BaseException: pass\n",
    ],
    ids=["loop", "regular expression", "waits beside a thread"],
)
def test_a_file_that_does_not_end_is_told_where_it_is_after_its_time(tmp_path: Path, source: str) -> None:
    loaded = load(tmp_path, timeout_s=SHORT_S, endless=source, good=GRAPH)

    found = problem(loaded)
    assert found.file == "endless.py"
    assert found.line in (3, 4)
    assert "still runs after 1 s (GRAPHWIRE_CODE_CHECK_TIMEOUT_S)" in found.detail
    assert [each.definition.id for each in loaded.graphs] == ["made"]


@pytest.mark.bad_input(37)
@pytest.mark.skipif(sys.platform != "linux", reason="no other system holds the limit")
def test_a_file_that_takes_too_much_memory_is_told_the_limit_and_its_line(tmp_path: Path) -> None:
    loaded = load(tmp_path, a_good=GRAPH, bad="x = 1\ny = bytearray(2**30)\n")

    found = problem(loaded)
    assert (found.file, found.line) == ("bad.py", 2)
    assert "MemoryError" in found.detail
    assert "512 MiB (GRAPHWIRE_CODE_CHECK_BYTES)" in found.detail
    assert [each.definition.id for each in loaded.graphs] == ["made"]


@pytest.mark.skipif(sys.platform != "linux", reason="no other system holds the limit")
def test_files_that_take_much_memory_together_but_not_each_are_both_served(tmp_path: Path) -> None:
    source = "import sys\nif 'trial' in sys.argv or sys.argv[0] == '-c':\n    kept = bytearray(300 * 2**20)\n"

    loaded = load(tmp_path, first=source, second=source)

    assert loaded.failures == ()


def test_what_the_trial_says_of_many_files_is_not_taken_for_output_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphwire.graphs.code_trial._MAX_TEXT", 400)

    for number in range(30):
        (tmp_path / f"file_{number:02}.py").write_text("x = 1\n")
    loaded = load(tmp_path)

    assert loaded.failures == ()


@pytest.mark.bad_input(37)
def test_what_a_file_prints_asks_and_leaves_running_disturbs_nothing(tmp_path: Path) -> None:
    source = f"""
import os, subprocess, sys, threading
if os.getpid() != {os.getpid()}:
    print("{{}}")
    os.write(1, b'{{"ended": "odd"}}' * 10_000)
    os.write(2, b"odd")
    subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
    threading.Thread(target=threading.Event().wait).start()
    try:
        input()
    except EOFError:
        pass
"""

    loaded = load(tmp_path, odd=source, good=GRAPH)

    assert loaded.failures == ()
    assert [each.definition.id for each in loaded.graphs] == ["made"]


def test_what_a_file_prints_in_the_service_is_a_line_of_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = sys.stdout, sys.stderr
    with caplog.at_level(logging.INFO, logger="graphwire.graphs.python_folder"):
        talks = "import sys\nprint('one', 'two')\nprint('three', file=sys.stderr)\n"
        load(tmp_path, floods="for number in range(100):\n    print(number)\n", talks=talks)

    lines = [record.getMessage().partition(" printed: ")[2] for record in caplog.records]
    assert lines[19:] == ["19", "and 80 more lines", "one two", "three"]
    assert capsys.readouterr() == ("", "")
    assert (sys.stdout, sys.stderr) == before


def test_nothing_of_a_file_that_fails_its_trial_runs_here(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    source = (
        f"import os\nwith open({str(mark)!r}, 'a') as file:\n    file.write(f'{{os.getpid()}}\\n')\nraise ValueError\n"
    )

    load(tmp_path, bad=source)

    assert [int(line) == os.getpid() for line in mark.read_text().splitlines()] == [False]


def test_all_files_of_a_folder_are_tried_in_one_process_and_a_changed_one_in_another(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    source = f"import os\nwith open({str(pids)!r}, 'a') as file:\n    file.write(f'{{__name__}} {{os.getpid()}}\\n')\n"
    folder = GraphFolder(tmp_path, trial=CodeTrial())
    for stem in ("a", "b", "c"):
        (tmp_path / f"{stem}.py").write_text(source)

    def tried() -> list[tuple[str, int]]:
        lines = [line.split() for line in pids.read_text().splitlines()]
        pids.write_text("")
        return [(name[-1], int(pid)) for name, pid in lines if int(pid) != os.getpid()]

    folder.load()
    first = tried()
    folder.load()
    second = tried()
    (tmp_path / "b.py").write_text(source + "# changed\n")
    folder.load()
    third = tried()

    assert [stem for stem, _ in first] == ["a", "b", "c"]
    assert len({pid for _, pid in first}) == 1
    assert second == []
    assert [stem for stem, _ in third] == ["b"]


def test_a_file_that_hangs_only_in_the_service_is_left_behind_in_its_thread(tmp_path: Path) -> None:
    release = threading.Event()
    sys.modules["tests_release"] = release  # type: ignore[assignment]  # what only this process has
    source = "import sys\nheld = sys.modules.get('tests_release')\nif held is not None:\n    held.wait()\n"
    try:
        loaded = load(tmp_path, timeout_s=SHORT_S, hangs=source, good=GRAPH)
    finally:
        release.set()
        del sys.modules["tests_release"]

    found = problem(loaded)
    assert (found.file, found.line) == ("hangs.py", 4)
    assert "in the service, the file still runs after 1 s" in found.detail
    assert [each.definition.id for each in loaded.graphs] == ["made"]


@pytest.mark.bad_input(37)
def test_files_that_hang_do_not_take_more_than_the_time_for_all_and_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = CodeTrial(timeout_s=SHORT_S)
    folder = GraphFolder(tmp_path, trial=trial)
    for stem in ("a", "b", "c", "d", "e", "f"):
        (tmp_path / f"{stem}.py").write_text("while True:\n    pass\n")
    (tmp_path / "made.py").write_text(GRAPH)
    begun: list[str] = []
    take = trial._take

    def take_and_note(line: bytes, trace: _Trace) -> bool:
        is_last = take(line, trace)
        begun.extend(filter(None, [trace.running]))
        return is_last

    with monkeypatch.context() as over_once_the_first_has_begun, trial.within(LONG_S):
        over_once_the_first_has_begun.setattr(trial, "_take", take_and_note)
        over_once_the_first_has_begun.setattr(trial, "_is_over", lambda: bool(begun))
        first = {each.source_path.name: each.problems[0].detail for each in folder.load().failures}
    was_behind = trial.is_behind
    for stem in ("b", "c", "d", "e", "f"):
        (tmp_path / f"{stem}.py").unlink()
    second = folder.load()

    assert "still runs after" in first.pop("a.py")
    assert list(first) == ["b.py", "c.py", "d.py", "e.py", "f.py", "made.py"]
    assert all("has not been tried yet" in detail for detail in first.values())
    assert was_behind
    assert [each.source_path.name for each in second.failures] == ["a.py"]
    assert [each.definition.id for each in second.graphs] == ["made"]


def test_a_trial_that_is_closed_ends_what_runs(tmp_path: Path) -> None:
    trial = CodeTrial()
    pid = tmp_path / "pid"
    os.mkfifo(pid)
    (tmp_path / "endless.py").write_text(
        f"with open({str(pid)!r}, 'w') as file:\n    file.write('.')\nwhile True:\n    pass\n"
    )
    found: list[LoadedFolder] = []
    thread = threading.Thread(target=lambda: found.append(GraphFolder(tmp_path, trial=trial).load()))

    thread.start()
    pid.read_text()  # until it runs
    trial.close()
    thread.join(5)

    assert [each.source_path.name for each in found[0].failures] == ["endless.py"]
    assert GraphFolder(tmp_path, trial=trial).load().graphs == ()
