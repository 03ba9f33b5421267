"""Encrypts a stream with a passphrase, so that modification, truncation and a wrong passphrase are all detected.

Format 1: magic and version, salt, check (a MAC of both under the derived key, which distinguishes a wrong passphrase from
damage), then chunks of CHUNK bytes, each sealed with ChaCha20-Poly1305 under its number and a flag for the last one (the STREAM
construction, as in age): none can be removed, repeated, reordered or appended.
"""

import hashlib
import hmac
import os
import unicodedata
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from guardpanel.errors import Invalid
from guardpanel.field_codes import FieldCode

MAGIC = b"guardpanel.backup"
VERSION = b"\x01"
SALT, CHECK, TAG = 16, 32, 16
"Bytes."

CHUNK = 64 * 1024
COST, LANES = 2**16, 2
"scrypt's n and p, with r = 8, of format 1: OWASP's parameters for 64 MiB, some 0.4 s."

MEMORY = 128 * 1024 * 1024

SHORTEST = 12


class BackupDamaged(Invalid):
    """A backup that is truncated, modified, or not a backup."""

    code = "backup_damaged"


class WrongPassphrase(Invalid):
    code = "wrong_passphrase"


class BackupTooNew(Invalid):
    """A backup in a format that this version does not know."""

    code = "backup_newer"

    def __init__(self) -> None:
        super().__init__("This backup needs a newer guardpanel. Update first.")


def passphrase(text: str) -> str:
    """The passphrase of a new backup. Empty for none. Raises Invalid (422) if it is too short."""
    if text and len(text) < SHORTEST:
        raise Invalid.at("passphrase", f"Use at least {SHORTEST} characters.", FieldCode.TOO_SHORT)
    return text


class Sealing:
    """A file to write to: its content is encrypted to `out`. It must be closed, or it cannot be read."""

    def __init__(self, out: BinaryIO, words: str) -> None:
        salt = os.urandom(SALT)
        key, check = _keys(words, salt)
        self._out, self._cipher = out, ChaCha20Poly1305(key)
        self._waiting, self._number = bytearray(), 0
        out.write(MAGIC + VERSION + salt + check)

    def write(self, data: bytes) -> int:
        self._waiting += data
        while len(self._waiting) > CHUNK:
            self._put(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return len(data)

    def flush(self) -> None:
        """Whole chunks only."""

    def close(self) -> None:
        self._put(bytes(self._waiting), last=True)

    def _put(self, chunk: bytes, *, last: bool) -> None:
        self._out.write(self._cipher.encrypt(_nonce(self._number, last=last), chunk, None))
        self._number += 1


class Opening:
    """A file to read from: the plaintext of `sealed`. Raises BackupDamaged or WrongPassphrase (422) before returning any wrong
    byte."""

    def __init__(self, sealed: BinaryIO, words: str) -> None:
        head = sealed.read(len(MAGIC) + 1)
        if not head.startswith(MAGIC):
            raise BackupDamaged("This is not a guardpanel backup.")
        version = head[len(MAGIC) :]
        if version > VERSION:
            raise BackupTooNew
        salt, check = sealed.read(SALT), sealed.read(CHECK)
        if version != VERSION or len(check) != CHECK:
            raise BackupDamaged("This backup is incomplete.")
        if not words:
            raise WrongPassphrase.at("passphrase", "This backup is encrypted. Enter its passphrase.")
        key, expected = _keys(words, salt)
        if not hmac.compare_digest(check, expected):
            raise WrongPassphrase.at("passphrase", "Incorrect passphrase.")
        self._sealed, self._cipher = sealed, ChaCha20Poly1305(key)
        self._ready, self._number = bytearray(), 0
        self._next = sealed.read(CHUNK + TAG)
        if not self._next:
            raise BackupDamaged("This backup is incomplete.")

    def read(self, size: int) -> bytes:
        """At most this number of bytes. None at the end."""
        while len(self._ready) < size and self._next:
            self._ready += self._take()
        block = bytes(self._ready[:size])
        del self._ready[:size]
        return block

    def _take(self) -> bytes:
        chunk, self._next = self._next, self._sealed.read(CHUNK + TAG)
        try:
            opened = self._cipher.decrypt(_nonce(self._number, last=not self._next), chunk, None)
        except InvalidTag:
            raise BackupDamaged("This backup is damaged or incomplete.") from None
        self._number += 1
        return opened


def _keys(words: str, salt: bytes) -> tuple[bytes, bytes]:
    """The key of the chunks, and the check."""
    typed = unicodedata.normalize("NFC", words).encode("utf-8", "surrogatepass")
    derived = hashlib.scrypt(typed, salt=salt, n=COST, r=8, p=LANES, maxmem=MEMORY, dklen=64)
    return derived[:32], hmac.digest(derived[32:], MAGIC + VERSION + salt, "sha256")


def _nonce(number: int, *, last: bool) -> bytes:
    """Twelve bytes that are unique under this key, which belongs to this file alone."""
    return number.to_bytes(11, "big") + bytes([last])
