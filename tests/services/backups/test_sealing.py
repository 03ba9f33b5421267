"""An encrypted backup gives exactly what went in, or nothing."""

import io

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from guardpanel.errors import Invalid
from guardpanel.services.backups import sealing
from guardpanel.services.backups.sealing import (
    CHUNK,
    TAG,
    BackupDamaged,
    BackupTooNew,
    Opening,
    Sealing,
    WrongPassphrase,
)
from tests.examples import share

WORDS = "correct horse battery"
HEAD = len(sealing.MAGIC) + 1 + sealing.SALT + sealing.CHECK
QUICK = hypothesis(max_examples=share(1.5), suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "COST", 2)
    monkeypatch.setattr(sealing, "LANES", 1)


def seal(data: bytes, words: str = WORDS, pieces: int = 10_000) -> bytes:
    out = io.BytesIO()
    sealed = Sealing(out, words)
    for at in range(0, len(data), pieces):
        sealed.write(data[at : at + pieces])
    sealed.close()
    return out.getvalue()


def unseal(data: bytes, words: str = WORDS) -> bytes:
    opening, opened = Opening(io.BytesIO(data), words), b""
    while piece := opening.read(50_000):
        opened += piece
    return opened


def chunks(sealed: bytes) -> list[bytes]:
    return [sealed[at : at + CHUNK + TAG] for at in range(HEAD, len(sealed), CHUNK + TAG)]


def test_the_real_cost_is_what_owasp_asks_for() -> None:
    assert (sealing.COST, sealing.LANES) == (2**16, 2)
    assert unseal(seal(b"all of it")) == b"all of it"


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7])
def test_what_went_in_comes_out(cheap: None, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)

    sealed = seal(data[:size])

    assert unseal(sealed) == data[:size]
    assert len(sealed) == HEAD + size + TAG * max(1, -(-size // CHUNK))


def test_the_same_twice_is_not_the_same_file(cheap: None) -> None:
    assert seal(b"x")[len(sealing.MAGIC) + 1 :][:16] != seal(b"x")[len(sealing.MAGIC) + 1 :][:16]


@pytest.mark.parametrize("words", ["", "wrong", WORDS + " ", WORDS.upper()])
def test_another_passphrase_opens_nothing(cheap: None, words: str) -> None:
    with pytest.raises(WrongPassphrase):
        unseal(seal(b"secret"), words)


def test_a_passphrase_is_the_same_however_its_accents_are_typed(cheap: None) -> None:
    assert unseal(seal(b"x", "grüße an alle"), "gru\u0308ße an alle") == b"x"


@QUICK
@given(cut=st.integers(min_value=0, max_value=HEAD + 2 * (CHUNK + TAG) + 99 + TAG))
def test_a_file_that_is_cut_off_is_refused(cheap: None, cut: int) -> None:
    sealed = seal(bytes(2 * CHUNK + 100))

    with pytest.raises(BackupDamaged):
        unseal(sealed[:cut])


@QUICK
@given(at=st.integers(min_value=0, max_value=HEAD + CHUNK + TAG + 50 + TAG - 1), bit=st.integers(0, 7))
def test_a_bit_that_changed_is_noticed(cheap: None, at: int, bit: int) -> None:
    sealed = bytearray(seal(bytes(CHUNK + 50)))
    sealed[at] ^= 1 << bit

    with pytest.raises((BackupDamaged, WrongPassphrase, BackupTooNew)):
        unseal(bytes(sealed))


def test_chunks_cannot_be_left_out_repeated_moved_or_put_behind(cheap: None) -> None:
    sealed = seal(bytes(range(256)) * (4 * CHUNK // 256))
    first, second, third, last = chunks(sealed)

    for others in (
        [first, second, last], [second, third, last], [first, first, second, third, last], [second, first, third, last],
        [first, second, third], [first, second, third, last, last], [last], [first, second, third, last, b"more"], [],
    ):  # fmt: skip
        with pytest.raises(BackupDamaged):
            unseal(sealed[:HEAD] + b"".join(others))


def test_a_newer_form_is_said_to_be_newer(cheap: None) -> None:
    sealed = bytearray(seal(b"x"))
    sealed[len(sealing.MAGIC)] = 2

    with pytest.raises(BackupTooNew):
        unseal(bytes(sealed))


@pytest.mark.parametrize(("words", "good"), [("", True), ("elf letters", False), ("twelve chars", True)])
def test_a_short_passphrase_is_refused_and_none_is_allowed(words: str, good: bool) -> None:
    if good:
        assert sealing.passphrase(words) == words
    else:
        with pytest.raises(Invalid):
            sealing.passphrase(words)
