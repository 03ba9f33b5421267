"""Failed log-ins cost time, but never lock anybody out."""

import pytest

from guardpanel.errors import TooManyAttempts
from guardpanel.services.accounts import failed_logins
from guardpanel.services.accounts.failed_logins import Attempts, network


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(failed_logins, "monotonic", made)
    return made


def pause(tried: Attempts, address: str = "192.0.2.1", account: str = "ada") -> int:
    try:
        tried.begin(address, account)
    except TooManyAttempts as refused:
        return refused.retry_after
    return 0


def test_the_first_failures_are_free_then_the_pause_doubles(clock: Clock) -> None:
    tried, pauses = Attempts(), []
    for n in range(20):
        if wait := pause(tried, account=f"a{n}"):
            pauses.append(wait)
            clock.now += wait

    assert pauses[:7] == [1, 2, 4, 8, 16, 32, 64]


def test_the_pause_has_an_end(clock: Clock) -> None:
    tried, waits = Attempts(), []
    for n in range(40):
        waits.append(wait := pause(tried, account=f"a{n}"))
        clock.now += wait

    assert max(waits) == 300


def test_an_account_is_guarded_against_many_addresses_but_not_for_long(clock: Clock) -> None:
    tried, waits = Attempts(), []
    for n in range(200):
        waits.append(wait := pause(tried, address=f"192.0.2.{n}"))
        clock.now += wait

    assert 0 in waits
    assert max(waits) == 30


def test_failures_are_forgotten(clock: Clock) -> None:
    tried = Attempts()
    while not pause(tried):
        pass
    clock.now += failed_logins.FORGOTTEN

    assert pause(tried) == 0


def test_memory_is_bounded(clock: Clock) -> None:
    tried = Attempts()
    for n in range(failed_logins.KEPT + 10):
        tried.by_account.add(str(n))

    assert len(tried.by_account.failures) == failed_logins.KEPT


@pytest.mark.parametrize(
    ("address", "other", "same"),
    [("192.0.2.1", "192.0.2.2", False), ("2001:db8::1", "2001:db8::ffff:2", True), ("2001:db8::1", "2001:db8:0:1::1", False),
     ("::ffff:192.0.2.1", "192.0.2.1", True), ("", "", True)],
)  # fmt: skip
def test_who_counts_as_one(address: str, other: str, same: bool) -> None:
    assert (network(address) == network(other)) is same
