"""Secrets go out of what is logged, whatever they are made of and wherever they lie."""

import pytest

from app.observability.masking import Masking


@pytest.mark.parametrize(
    "key",
    [
        "token",
        "access_token",
        "accessToken",
        "api_key",
        "apiKey",
        "X-Api-Key",
        "GRAPHWIRE_API_KEY",
        "password",
        "db.password",
        "Authorization",
        "client_secret",
        "token2",
    ],
)
def test_a_value_whose_name_has_a_word_for_secrets_is_masked(key: str) -> None:
    assert Masking(()).fields({key: "k-123"}) == {key: "***"}


@pytest.mark.parametrize("key", ["tokens_used", "maxTokens", "monkey", "key", "api", "secretary", "tokenizer"])
def test_a_value_whose_name_only_resembles_one_is_shown(key: str) -> None:
    assert Masking(()).fields({key: 17}) == {key: 17}


def test_names_are_looked_at_inside_of_values_too() -> None:
    nested = {"request": {"headers": [{"authorization": "k"}, ("path", {"api_key": 1, "id": 2})]}}

    assert Masking(()).fields(nested) == {
        "request": {"headers": [{"authorization": "***"}, ["path", {"api_key": "***", "id": 2}]]}
    }


def test_a_secret_is_found_in_texts_names_numbers_and_what_else_is_shown() -> None:
    class Shown:
        def __str__(self) -> str:
            return "<id 4711>"

    fields = {"a": ["the 4711"], "b": {"x4711": 1}, "c": 94711, "d": Shown(), "e": 1.4711, "f": b"4711", "g": None}

    assert Masking(["4711"]).fields(fields) == {
        "a": ["the ***"],
        "b": {"x***": 1},
        "c": "***",
        "d": "<id ***>",
        "e": "***",
        "f": "b'***'",
        "g": None,
    }


@pytest.mark.parametrize("secret", ['pa"ss\\word', "it's", 'it\'s "so"', "s3crét\n", "a\tb"])
def test_a_secret_that_was_escaped_is_found(secret: str) -> None:
    masking = Masking([secret])

    assert masking.text(f"{secret} {secret!r} {[secret]} {f'{secret}x'!r}").count("***") == 4
    for part in (secret, repr(secret)[1:-1], secret.encode("unicode_escape").decode()):
        assert part == secret or part not in masking.text(f"<{secret!r}>")


def test_what_has_no_end_or_cannot_be_shown_is_told_shortly() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    endless: list[object] = []
    endless.append(endless)

    fields = Masking(["x"]).fields({"a": endless, "b": Broken(), "c": 10**5_000, Broken(): 1})

    assert fields["b"] == "(cannot be shown: RuntimeError)"
    assert fields["c"] == "(cannot be shown: ValueError)"
    assert "[...]" in str(fields["a"])
