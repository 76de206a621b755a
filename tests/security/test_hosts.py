import pytest

from app.security.hosts import host_name, read_host_name, read_origin


def test_a_host_is_compared_without_port_in_small_letters() -> None:
    assert host_name(b"LocalHost:8000") == "localhost"
    assert host_name(b"[::1]:8000") == "[::1]"
    assert host_name(b"my_service.internal.") == "my_service.internal."


@pytest.mark.bad_input(51)
@pytest.mark.parametrize("text", [b"", b":80", b"a b", b"a/b", b"a?b", b"a#b", b"u@a", b"a:", b"a:1:2", b"\xff"])
def test_what_is_no_host_has_no_name(text: bytes) -> None:
    assert host_name(text) is None


def test_an_origin_is_named_as_browsers_write_it() -> None:
    assert read_origin("HTTPS://Page.Example:443") == "https://page.example"
    assert read_origin("http://localhost:5173") == "http://localhost:5173"
    assert read_origin("http://[::1]:80") == "http://[::1]"


@pytest.mark.bad_input(125)
@pytest.mark.parametrize(
    "text", ["*", "null", "page.example", "https://*.example", "https://a/", "https://u@a", "ws://a"]
)
def test_what_names_no_origin_exactly_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="an origin is"):
        read_origin(text)


@pytest.mark.parametrize("text", ["", "https://a", "a:80", "*.example"])
def test_a_host_is_named_without_scheme_and_port(text: str) -> None:
    with pytest.raises(ValueError, match="a host is"):
        read_host_name(text)
