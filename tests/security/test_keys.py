import pytest

from app.security.keys import Keys, key_parameter, offered_keys, read_keys


def test_keys_are_separated_by_commas() -> None:
    assert read_keys(" 0123456789abcdef, the-second+of+two/== ,") == ("0123456789abcdef", "the-second+of+two/==")
    assert read_keys(" , ") == ()


@pytest.mark.parametrize("text", ["a b", "caf\u00e9", "a,b\n\nc", '"quoted"', "a=b"])
def test_a_key_that_no_header_can_carry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="openssl rand"):
        read_keys(text)


@pytest.mark.bad_input(124)
def test_a_key_that_is_short_enough_to_guess_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 characters"):
        read_keys("0123456789abcdef,0123456789abcde")


@pytest.mark.bad_input(124)
def test_a_key_is_compared_whole() -> None:
    keys = Keys(["first", "second"])

    assert keys.has(b"first")
    assert keys.has(b"second")
    for wrong in (b"", b"firs", b"first1", b"FIRST", b"first,second", b"\xff" * 100_000):
        assert not keys.has(wrong)
    assert not Keys([]).has(b"")


def test_a_key_is_looked_for_where_it_may_stand() -> None:
    assert offered_keys({}) == []
    assert offered_keys({b"authorization": b"BEARER one"}) == [b"one"]
    assert offered_keys({b"authorization": b"Basic bWU6b25l"}) == [b"one"]
    assert offered_keys({}, ["graphwire.v1", "bearer.one", "bearer.two"]) == [b"one", b"two"]


@pytest.mark.bad_input(121)
def test_a_parameter_for_a_key_is_found_however_it_is_written() -> None:
    assert key_parameter(b"after=1&api_key=x") == "api_key"
    assert key_parameter(b"a=1&%74oken=x&key=y") == "token"
    assert key_parameter(b"Access_Token") == "access_token"
    assert key_parameter(b"after=key&monkey=1&q=api_key%3Dx&\xff=1") is None
