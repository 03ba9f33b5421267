"""Passwords: how they are kept, and that they do not hold anybody up."""

import asyncio

import pytest
from argon2 import PasswordHasher, extract_parameters
from sqlmodel import col, select

from guardpanel.errors import TooManyAttempts
from guardpanel.models import User
from guardpanel.panel import Panel
from guardpanel.services.accounts import passwords
from guardpanel.services.accounts.passwords import Passwords
from tests.conftest import ADA, PASSWORD
from tests.fakes import cheap_passwords

pytestmark = pytest.mark.anyio


async def test_the_parameters_are_those_of_owasp() -> None:
    assert (await Passwords().hash("a")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_a_password_matches_its_own_hash_alone() -> None:
    cheap = cheap_passwords()
    stored = await cheap.hash("one")

    assert await cheap.matches(stored, "one")
    for other in ("two", "", "one ", "x" * 100_000):
        assert not await cheap.matches(stored, other)
    assert not await cheap.matches(None, "one")
    assert not await cheap.matches("no hash", "one")


async def test_an_unknown_account_costs_what_a_known_one_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The very same work: a hash with the parameters of today's, verified once."""
    verified: list[str] = []

    def note(_self: PasswordHasher, stored: str, _password: str) -> bool:
        verified.append(stored)
        return True

    monkeypatch.setattr(PasswordHasher, "verify", note)
    real = Passwords()
    stored = await real.hash("one")

    assert await real.matches(stored, "wrong")
    assert not await real.matches(None, "wrong"), "not even with a password that fits"

    assert [extract_parameters(hashed) for hashed in verified] == [extract_parameters(stored)] * 2


async def test_checking_passwords_does_not_block_the_event_loop() -> None:
    real = Passwords()
    stored = await real.hash("one")
    work = asyncio.gather(*(real.matches(stored, "wrong") for _ in range(10)))
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1

    await work
    assert turns > 20


async def test_no_long_queue_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MOST_WAITING", 3)
    cheap = cheap_passwords()

    answers = await asyncio.gather(*(cheap.matches(None, "x") for _ in range(10)), return_exceptions=True)

    assert sum(isinstance(answer, TooManyAttempts) for answer in answers) == 7
    assert not await cheap.matches(None, "x")


async def test_an_outdated_hash_is_replaced_at_login(panel: Panel) -> None:
    async def stored() -> str:
        async with panel.database.read() as session:
            return (await session.exec(select(User.password_hash).where(col(User.email) == ADA))).one()

    before = await stored()
    panel.accounts.passwords = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    await panel.accounts.log_in(ADA, PASSWORD, "127.0.0.1")

    assert await stored() != before
    assert "m=16,t=2" in await stored()
    await panel.accounts.log_in(ADA, PASSWORD, "127.0.0.1")
