from app.security.failed_tries import FailedTries


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def guessed(tries: FailedTries, address: str, times: int) -> int:
    for _ in range(times):
        tries.add_failure(address)
    return tries.wait_s(address)


def test_the_eleventh_try_of_a_minute_waits_until_the_first_is_over() -> None:
    clock = Clock()
    tries = FailedTries(clock)

    assert guessed(tries, "192.0.2.1", 9) == 0
    clock.now = 20.0
    assert guessed(tries, "192.0.2.1", 1) == 40
    clock.now = 59.9
    assert tries.wait_s("192.0.2.1") == 1
    clock.now = 60.0
    assert tries.wait_s("192.0.2.1") == 0


def test_addresses_are_counted_apart_but_a_network_of_ipv6_is_one() -> None:
    tries = FailedTries(Clock())

    assert guessed(tries, "192.0.2.1", 10) == 60
    assert tries.wait_s("192.0.2.2") == 0
    assert tries.wait_s("::ffff:192.0.2.1") == 60
    assert guessed(tries, "2001:db8::1", 10) == 60
    assert tries.wait_s("2001:db8::ffff:1") == 60
    assert tries.wait_s("2001:db8:0:1::1") == 0
    assert guessed(tries, "", 10) == 60


def test_no_more_addresses_are_remembered_than_there_is_room_for() -> None:
    tries = FailedTries(Clock(), max_addresses=100)

    for number in range(1_000):
        guessed(tries, f"198.51.{number // 250}.{number % 250}", 10)
        tries.add_success(f"198.51.{number // 250}.{number % 250}")

    assert len(tries._failed) == len(tries._known) == 100
    assert tries.wait_s("198.51.3.249") == 60
    assert tries.wait_s("198.51.0.0") == 0
    assert tries.is_known("198.51.3.249")
    assert not tries.is_known("198.51.0.0")
