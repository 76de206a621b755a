"""The example graphs, loaded as the service loads them."""

from pathlib import Path

import pytest

from graphwire.engine.plan import Plan, compile_plan
from graphwire.graphs.loader import LoadedFolder, load_folder
from graphwire.nodes import builtin_registry

FOLDER = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="session")
def examples() -> LoadedFolder:
    return load_folder(FOLDER)


@pytest.fixture(scope="session")
def plans(examples: LoadedFolder) -> dict[str, Plan]:
    registry = builtin_registry()
    return {each.definition.id: compile_plan(each.definition, registry, each.code) for each in examples.graphs}
