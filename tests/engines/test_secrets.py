"""Private keys in releases: readable by their owner alone, covered by the manifest, shown nowhere, and gone once replaced."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from guardpanel.bundle import Bundle
from guardpanel.engines.releases import ReleaseDamaged, Releases

KEY = b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"

BUNDLE = Bundle({"haproxy.cfg": b"global\n"}, "c" * 64, (), {}, secrets={"certs/17.pem": KEY})


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def test_files_with_keys_are_their_owners_alone_also_where_they_are_linked(releases: Releases) -> None:
    for number in (1, 2):
        releases.publish(releases.stage(number, BUNDLE))
        path = releases.root / str(number) / "certs" / "17.pem"

        assert path.read_bytes() == KEY
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stat().st_nlink == 2

    path.chmod(0o644)
    releases.stage(3, BUNDLE)

    assert stat.S_IMODE((releases.root / "3" / "certs" / "17.pem").stat().st_mode) == 0o600


def test_files_with_keys_are_never_among_those_that_are_shown(releases: Releases) -> None:
    releases.stage(1, BUNDLE)

    assert set(releases.files(1)) == {"haproxy.cfg"}
    assert "c2VjcmV0" not in repr(BUNDLE)
    assert "c2VjcmV0" not in (releases.root / "1" / "manifest.json").read_text()


def test_other_keys_are_another_digest_but_the_same_checksum(releases: Releases) -> None:
    other = replace(BUNDLE, secrets={"certs/17.pem": KEY + b"\n"})

    assert (other.checksum, other.secrets_digest == BUNDLE.secrets_digest) == (BUNDLE.checksum, False)
    assert releases.stage(1, BUNDLE).secrets == releases.open(1).secrets == BUNDLE.secrets_digest
    assert replace(BUNDLE, secrets={}).secrets_digest == ""


def test_a_changed_key_is_noticed(releases: Releases) -> None:
    releases.stage(1, BUNDLE)
    (releases.root / "1" / "certs" / "17.pem").write_bytes(b"another")

    assert releases.damaged(1) == ["certs/17.pem"]
    with pytest.raises(ReleaseDamaged, match=r"certs/17\.pem of release 1 was changed outside guardpanel"):
        releases.open(1)


def test_replaced_keys_do_not_stay_on_disk(releases: Releases) -> None:
    for number in (1, 2, 3):
        releases.stage(number, BUNDLE)

    releases.forget_secrets({2, 3})

    assert not (releases.root / "1" / "certs" / "17.pem").exists()
    assert releases.files(1) == {"haproxy.cfg": b"global\n"}
    assert (releases.open(1).secrets, releases.open(3).secrets) == ("", BUNDLE.secrets_digest)
