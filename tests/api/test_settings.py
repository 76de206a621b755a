from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings, database_url, unknown_variables


def test_a_variable_that_is_no_setting_is_named_with_the_nearest() -> None:
    sentences = unknown_variables({"GRAPHWIRE_HEARTBEATS": "5", "GRAPHWIRE_PORT": "1", "PATH": "/bin"})

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
