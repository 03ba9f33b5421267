"""Passwords: stored as Argon2id hashes, and checked so that an unknown account is indistinguishable from a wrong password."""

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from guardpanel.errors import TooManyAttempts

AT_ONCE = 2
MOST_WAITING = 50
LONGEST = 1024


class Passwords:
    """Argon2id (OWASP: 19 MiB, two passes), off the event loop, two at a time, with a short queue."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self.hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._nobody = self.hasher.hash(secrets.token_hex())

    async def hash(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(self.hasher.hash, password)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Takes as long for an unknown account (None) as for a known one."""
        if self._waiting >= MOST_WAITING:
            raise TooManyAttempts("Too many logins at once. Try again in a second.", 1)
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(self._matches, stored, password[:LONGEST])
        finally:
            self._waiting -= 1

    def is_outdated(self, stored: str) -> bool:
        """Whether it was made with other parameters than are used now."""
        return self.hasher.check_needs_rehash(stored)

    def _matches(self, stored: str | None, password: str) -> bool:
        try:
            self.hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None
