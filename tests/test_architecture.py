"""Rules of the tree that no linter knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("graphwire", "app")
PYTHON = sorted(path for name in (*PACKAGES, "tests", "examples", "alembic") for path in (ROOT / name).rglob("*.py"))
SHIPPED = [path for path in PYTHON if path.relative_to(ROOT).parts[0] in PACKAGES]
LONGEST_FILE = 500
LONGEST_FUNCTION = 70
NO_SUBJECT = {"utils", "util", "helpers", "helper", "misc", "common", "manager", "base", "impl"}
# Spelled in pieces, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "Not" + "ImplementedError")) + r")\b")
WAITS_IN_TESTS = re.compile(r"\btime\.sleep\(|\basyncio\.sleep\((?!0\))")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{name(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_is_too_long_for_one_subject() -> None:
    lengths = {name(path): path.read_text(encoding="utf-8").count("\n") for path in SHIPPED}

    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_no_function_is_too_long_to_be_seen_at_once() -> None:
    too_long = [
        f"{name(path)}:{function.lineno} {function.name} ({length} lines)"
        for path in SHIPPED
        for function in functions(path)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > LONGEST_FUNCTION
    ]

    assert too_long == []


def test_every_module_is_named_after_its_subject() -> None:
    named = {part for path in PYTHON for part in path.relative_to(ROOT).with_suffix("").parts}

    assert named & NO_SUBJECT == set()


def test_nothing_is_left_unfinished() -> None:
    assert lines_with(UNFINISHED, PYTHON) == []


def test_no_test_waits_for_time_to_pass_without_giving_its_reason() -> None:
    tests = [
        path for path in PYTHON if path.relative_to(ROOT).parts[0] == "tests" and path.name != "test_architecture.py"
    ]

    assert [line for line in lines_with(WAITS_IN_TESTS, tests) if "  # " not in line] == []


def test_tests_mirror_the_packages() -> None:
    folders = {path.relative_to(ROOT).parts[1] for path in PYTHON if path.relative_to(ROOT).parts[0] == "tests"}
    subjects = {path.name for package in PACKAGES for path in (ROOT / package).iterdir()}
    beside_the_packages = {"benchmarks", "browser", "contracts", "docs", "examples", "live"}

    assert {folder for folder in folders if "." not in folder} <= subjects | beside_the_packages


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_a_package_is_a_package(package: str) -> None:
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}

    assert [name(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_every_folder_with_tests_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}

    assert [name(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
