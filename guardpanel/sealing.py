"""Seals private keys at rest: AES-256-GCM under a master key that is in a file of its own, not in the database.

Each sealed value is bound to its place (the row): a ciphertext that is moved to another row can't be opened.
"""

import base64
import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from guardpanel.errors import Problem

KEY, NONCE = 32, 12
"Bytes. The nonce is random: NIST SP 800-38D allows 2^32 of them under one key."

TAG = 16
"Bytes at the end of a sealed value. They authenticate all of it, so that another value has another tag."


def login_key(secret: str) -> str:
    """The key of logins' hashes, in Base64, made of the installation's secret (rendering/login_maps.py)."""
    return base64.b64encode(hmac.digest(secret.encode(), b"guardpanel basic authentication", "sha256")).decode()


def sticky_key(secret: str) -> str:
    """The key of sticky cookies, made of the installation's secret, which cannot be found from it."""
    return hmac.digest(secret.encode(), b"sticky sessions", "sha256").hex()


def in_files(secret: str) -> list[str]:
    """What stands in HAProxy's files and is shown nowhere: the installation's secret, and what is made of it."""
    return [secret, login_key(secret), sticky_key(secret)] if secret else []


class KeyLost(Problem):
    """A sealed value that this master key does not open."""

    status = 503
    code = "key_lost"

    def __init__(self) -> None:
        super().__init__("Private keys can’t be read: the secret key file is not the one they were sealed with.")


class Seal:
    def __init__(self, key: bytes) -> None:
        self.key = key
        self.key_id = hashlib.sha256(b"guardpanel master key" + key).hexdigest()[:16]
        "Names the key without revealing it: it is random."
        self._cipher = AESGCM(key)

    @classmethod
    def at(cls, path: Path) -> "Seal":
        """With the master key in this file. Creates it, readable by its owner only, if there is none. Raises Problem if the
        file is not a key or can't be read."""
        try:
            with suppress(FileExistsError):
                _create(path)
            key = path.read_bytes()
        except OSError as error:
            raise Problem(f"{path}: {error.strerror or error}.") from error
        if len(key) != KEY:
            raise Problem(f"{path} is not a secret key: it has {len(key)} bytes instead of {KEY}.")
        return cls(key)

    def seal(self, secret: bytes, place: str) -> bytes:
        """`place` names the row, as `certificate_content:17`."""
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, secret, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Raises KeyLost (503) if it was sealed with another master key or for another place."""
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], place.encode())
        except (InvalidTag, ValueError):
            raise KeyLost from None


def _create(path: Path) -> None:
    """Complete or not at all: under another name first, which never replaces an existing file."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 a descriptor
            file.write(os.urandom(KEY))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
