import pytest

from app.security.openness import refusal


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_this_machine_alone_needs_no_key(host: str) -> None:
    assert refusal(host, has_key=False, is_forced=False) is None


@pytest.mark.bad_input(126)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "fe80::1", "example.com", "localhost.example.com"])
def test_others_need_a_key_or_force(host: str) -> None:
    sentence = refusal(host, has_key=False, is_forced=False)

    assert sentence is not None
    assert "GRAPHWIRE_API_KEY=" in sentence
    assert "GRAPHWIRE_ALLOW_OPEN=1" in sentence
    assert refusal(host, has_key=True, is_forced=False) is None
    assert refusal(host, has_key=False, is_forced=True) is None
