"""The registry of node types."""

from tests.graphs.samples import REGISTRY, Plain


def test_types_are_found_by_name_and_by_no_other_name() -> None:
    assert isinstance(REGISTRY.get("plain"), Plain)
    assert REGISTRY.get("Plain") is None
    assert REGISTRY.names() == ("plain", "function", "each")
    assert REGISTRY.near("plane") == "plain"
    assert REGISTRY.near("zzz") is None


def test_types_are_described_with_the_schema_of_their_config() -> None:
    described = {each["name"]: each for each in REGISTRY.describe()}

    assert set(described["plain"]) == {
        "name",
        "title",
        "description",
        "takes_input",
        "uses_code",
        "has_effects",
        "config",
    }
    assert described["plain"]["config"]["properties"]["limit"] == {
        "default": 1,
        "minimum": 1,
        "title": "Limit",
        "type": "integer",
    }
    assert described["plain"]["config"]["additionalProperties"] is False
