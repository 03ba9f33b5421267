"""Private keys in releases: readable by their owner alone, covered by the manifest, shown nowhere, and gone once replaced."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from guardpanel.bundle import Bundle
from guardpanel.engines import files, shared_folders
from guardpanel.engines.files import Digests
from guardpanel.engines.releases import ReleaseDamaged, Releases

KEY = b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"

BUNDLE = Bundle({"haproxy.cfg": b"global\n"}, "c" * 64, (), {}, secrets={"certs/17.pem": KEY})


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def test_files_with_keys_are_their_owners_alone_also_where_releases_share_them(releases: Releases) -> None:
    for number in (1, 2):
        releases.publish(releases.stage(number, BUNDLE))
        path = releases.root / str(number) / "certs" / "17.pem"

        assert path.read_bytes() == KEY
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.resolve().parent == (releases.root / "1" / "certs").resolve()

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


def test_a_manifest_that_is_changed_by_hand_is_read_again(releases: Releases) -> None:
    releases.stage(1, BUNDLE)
    assert releases.open(1).checksum == BUNDLE.checksum
    manifest = releases.root / "1" / "manifest.json"
    whole = manifest.read_text()

    manifest.write_text(whole.replace(BUNDLE.hashes["files"]["haproxy.cfg"], "0" * 64))

    assert releases.damaged(1) == ["haproxy.cfg"]
    for text in ("", "[]", '{"release": 1}', '{"release": 1, "checksum": "x", "files": [], "secrets": []}'):
        manifest.write_text(text)
        assert (releases.damaged(1), releases.checksum(1), releases.secrets(1)) == (None, "", {})
        with pytest.raises(ReleaseDamaged):
            releases.open(1)
    manifest.write_text(whole)
    assert releases.damaged(1) == []


def test_replaced_keys_do_not_stay_on_disk(releases: Releases) -> None:
    for number in (1, 2, 3):
        releases.stage(number, BUNDLE)

    releases.forget_secrets({2, 3})

    assert not (releases.root / "1" / "certs" / "17.pem").exists()
    assert releases.files(1) == {"haproxy.cfg": b"global\n"}
    assert (releases.open(1).secrets, releases.open(3).secrets) == ("", BUNDLE.secrets_digest)


def test_a_release_that_an_earlier_version_wrote_loses_its_keys_too(releases: Releases) -> None:
    for number in (1, 2):
        releases.publish(releases.stage(number, BUNDLE))
    shared, old = releases.root / "2" / "certs", releases.root / "1" / "certs"
    old.unlink()
    old.mkdir(mode=0o700)
    os.link(shared / "17.pem", old / "17.pem")

    releases.forget_secrets({2})

    assert not (old / "17.pem").exists()
    assert (shared / "17.pem").read_bytes() == KEY


def test_keys_that_no_release_has_are_gone_with_the_release_that_brought_them(releases: Releases) -> None:
    other = replace(BUNDLE, secrets={"certs/17.pem": KEY + b"\n", "certs/18.pem": KEY})
    releases.publish(releases.stage(1, BUNDLE))
    releases.stage(2, other)
    assert len(list(releases.root.glob("shared/*"))) == 2

    releases.drop(2)
    assert [path.name for path in releases.root.glob("shared/*/*")] == ["17.pem"]

    (releases.root / "shared" / "left-by-a-kill").mkdir()
    releases.sweep()
    assert [path.name for path in releases.root.glob("shared/*/*")] == ["17.pem"]
    assert releases.open(1).secrets == BUNDLE.secrets_digest


def test_keys_stay_while_a_release_gets_its_place(releases: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old release is deleted beside a save, whose draft is renamed between the look for releases and the one into it."""
    releases.stage(1, replace(BUNDLE, secrets={}))
    draft = (releases.root / str(releases.stage(2, BUNDLE).number)).rename(releases.root / ".tmp-2-1")
    look = shared_folders._links

    def look_late(release: Path) -> Iterator[Path]:
        if release == draft and draft.exists():
            draft.rename(releases.root / "2")
        return look(release)

    monkeypatch.setattr(shared_folders, "_links", look_late)

    releases.drop(1)

    assert releases.open(2).secrets == BUNDLE.secrets_digest


def test_a_shared_key_that_was_changed_is_written_anew(releases: Releases) -> None:
    releases.publish(releases.stage(1, BUNDLE))
    (releases.root / "1" / "certs" / "17.pem").write_bytes(b"another")

    releases.stage(2, BUNDLE)

    assert releases.open(2).secrets == releases.open(1).secrets == BUNDLE.secrets_digest


def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are read from now on."""
    paths, read = list[str](), files._read

    def watched(path: Path | str) -> tuple[os.stat_result, bytes]:
        paths.append(str(path))
        return read(path)

    monkeypatch.setattr(files, "_read", watched)
    return paths


def test_a_file_is_read_again_only_if_it_looks_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Digests, "TICK_NANOSECONDS", -1)
    digests, path, paths = Digests(), tmp_path / "17.pem", read_files(monkeypatch)
    path.write_bytes(b"first")
    before, times = digests.of(str(path)), path.stat()

    assert digests.of(str(path)) == before and len(paths) == 1
    monkeypatch.undo()
    while path.stat().st_ctime_ns == times.st_ctime_ns:  # Until the clock of files ticks.
        path.write_bytes(b"other")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert digests.of(str(path)) == hashlib.sha256(b"other").hexdigest() != before
    path.unlink()
    with pytest.raises(FileNotFoundError):
        digests.of(str(path))


def test_a_file_that_changed_just_now_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Digests, "TICK_NANOSECONDS", 10**18)
    digests, path, paths = Digests(), tmp_path / "17.pem", read_files(monkeypatch)
    path.write_bytes(b"first")

    digests.of(str(path)), digests.of(str(path))

    assert len(paths) == 2


def test_a_pipe_in_a_release_is_not_waited_for(releases: Releases) -> None:
    releases.stage(1, BUNDLE)
    path = releases.root / "1" / "certs" / "17.pem"
    path.unlink()
    os.mkfifo(path)

    assert releases.damaged(1) == ["certs/17.pem"]


def test_a_changed_key_does_not_hide_the_files_that_are_shown(releases: Releases) -> None:
    releases.stage(1, BUNDLE)
    (releases.root / "1" / "certs" / "17.pem").unlink()

    assert releases.files(1) == {"haproxy.cfg": b"global\n"}
    (releases.root / "1" / "haproxy.cfg").write_bytes(b"globus\n")
    with pytest.raises(ReleaseDamaged, match=r"haproxy\.cfg of release 1 was changed"):
        releases.files(1)
