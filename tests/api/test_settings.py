from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings, database_url, secrets_of, unknown_variables


def test_a_variable_that_is_no_setting_is_named_with_the_nearest() -> None:
    others = {"PATH": "/bin", "GRAPHWIRE_URL": "http://127.0.0.1:8000"}

    sentences = unknown_variables({"GRAPHWIRE_HEARTBEATS": "5", "GRAPHWIRE_PORT": "1", **others})

    assert sentences == ["GRAPHWIRE_HEARTBEATS is no setting; did you mean GRAPHWIRE_HEARTBEAT_S?"]


def test_folders_are_separated_as_in_path_or_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHWIRE_GRAPHS", "one, two:three")

    assert Settings().graphs == (Path("one"), Path("two"), Path("three"))


def test_a_secret_is_not_shown_when_a_setting_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHWIRE_DATABASE_URL", "postgresql://me:secret@host/db")
    monkeypatch.setenv("GRAPHWIRE_PORT", "secret")

    with pytest.raises(ValidationError) as caught:
        Settings()

    assert "secret" not in str(caught.value)


def test_the_default_database_is_a_file_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAPHWIRE_DATABASE_URL", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    assert database_url(Settings()).endswith("/graphwire.db")


def test_every_setting_is_explained() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_names_that_are_compared_are_read_as_they_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHWIRE_ALLOWED_HOSTS", "Graphs.Example, [2001:DB8::1]")
    monkeypatch.setenv("GRAPHWIRE_CORS_ORIGINS", "https://Page.Example:443,http://localhost:5173")

    assert Settings().allowed_hosts == ("graphs.example", "[2001:db8::1]")
    assert Settings().cors_origins == ("https://page.example", "http://localhost:5173")


@pytest.mark.bad_input(125)
@pytest.mark.parametrize("origins", ["*", "null", "https://page.example/", "page.example"])
def test_an_origin_that_is_not_named_exactly_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    monkeypatch.setenv("GRAPHWIRE_CORS_ORIGINS", origins)

    with pytest.raises(ValidationError, match="an origin is"):
        Settings()


def test_an_empty_key_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHWIRE_API_KEY", " , ")

    assert Settings().api_key is None


def test_each_of_several_keys_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHWIRE_API_KEY", "the-first-of-two-keys, the-second-of-two-keys")

    assert {"the-first-of-two-keys", "the-second-of-two-keys"} <= set(secrets_of(Settings()))
    assert "the-first" not in repr(Settings())
