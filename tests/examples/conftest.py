"""The example graphs, loaded as the service loads them."""

from pathlib import Path

import pytest

from graphwire.engine.linking import Part, compile_linked
from graphwire.engine.plan import Plan
from graphwire.graphs.loader import LoadedFolder, load_folder
from graphwire.graphs.validation import validate
from graphwire.nodes import builtin_registry

FOLDER = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="session")
def examples() -> LoadedFolder:
    return load_folder(FOLDER)


@pytest.fixture(scope="session")
def plans(examples: LoadedFolder) -> dict[str, Plan]:
    registry = builtin_registry()
    parts: dict[str, Part] = {}
    for each in examples.graphs:
        found = validate(each.definition, registry, code=each.code)
        parts[each.definition.id] = Part(each.definition, each.code, found.references)
    return {name: compile_linked(part, parts.get, registry) for name, part in parts.items()}
