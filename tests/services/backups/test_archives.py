"""The file of a backup is read to the last byte and believed in nothing."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from guardpanel.errors import Invalid
from guardpanel.services.backups import archives
from guardpanel.services.backups.archives import DATABASE, MANIFEST
from guardpanel.services.backups.sealing import BackupDamaged, BackupTooNew
from tests.examples import share

QUICK = hypothesis(max_examples=share(2), suppress_health_check=[HealthCheck.function_scoped_fixture])
CONTENT = bytes(range(256)) * 300


@pytest.fixture
def whole(folder: Path) -> bytes:
    (folder / DATABASE).write_bytes(CONTENT)
    out = io.BytesIO()
    archives.write(out, folder, 7, "c" * 64, "")
    return out.getvalue()


def read(data: bytes, folder: Path) -> bytes:
    """What comes out; the folder is as new for each try."""
    for name in (DATABASE, MANIFEST):
        (folder / name).unlink(missing_ok=True)
    archives.read(io.BytesIO(data), folder, "")
    return (folder / DATABASE).read_bytes()


def members(data: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(info, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]


def packed(members: list[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=form) as tar:
        for info, content in members:
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_what_went_in_comes_out_and_any_tar_can_look_at_it(whole: bytes, folder: Path) -> None:
    assert read(whole, folder) == CONTENT
    assert archives.manifest_in(folder).revision == 7
    assert [(info.name, info.mode) for info, _ in members(whole)] == [(MANIFEST, 0o600), (DATABASE, 0o600)]
    assert read(packed(members(whole)), folder) == CONTENT, "also as another tar wrote it"


@QUICK
@given(share=st.floats(min_value=0, max_value=1, exclude_max=True))
def test_a_file_that_is_cut_off_is_refused(whole: bytes, folder: Path, share: float) -> None:
    with pytest.raises(BackupDamaged):
        read(whole[: int(len(whole) * share)], folder)


@QUICK
@given(share=st.floats(min_value=0, max_value=1, exclude_max=True), bit=st.integers(0, 7))
def test_a_bit_that_changed_is_noticed_or_changes_nothing(whole: bytes, folder: Path, share: float, bit: int) -> None:
    """A few bits of gzip mean nothing (its time, the system, what fills up the last byte)."""
    flipped = bytearray(whole)
    flipped[int(len(whole) * share)] ^= 1 << bit

    try:
        assert read(bytes(flipped), folder) == CONTENT
        assert archives.manifest_in(folder).checksum == "c" * 64
    except Invalid:
        pass


@QUICK
@given(data=st.binary(max_size=3000))
def test_what_is_no_backup_is_said_to_be_none(data: bytes, folder: Path) -> None:
    for made in (data, gzip.compress(data)):
        with pytest.raises(Invalid):
            read(made, folder)


def renamed(name: str) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[1][0].name = name

    return change


def a_link(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[1][0].type, members[1][0].linkname = tarfile.SYMTYPE, "/etc/passwd"


def a_device(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[1][0].type = tarfile.CHRTYPE


def one_more(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.append((tarfile.TarInfo("../../etc/cron.d/x"), b"x"))


def other_order(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.reverse()


def one_less(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.pop()


def other_content(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[1] = members[1][0], members[1][1] + b"x"


def large_manifest(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[0] = members[0][0], members[0][1] + b" " * archives.LARGEST_MANIFEST


@pytest.mark.parametrize(
    "change",
    [renamed("/etc/passwd"), renamed("../guardpanel.db"), renamed("x/guardpanel.db"), renamed("x" * 99), a_link, a_device,
     one_more, other_order, one_less, other_content, large_manifest],
)  # fmt: skip
def test_nothing_but_the_members_that_must_be_there_is_taken(
    whole: bytes, folder: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]
) -> None:
    kept = members(whole)
    change(kept)

    with pytest.raises(BackupDamaged):
        read(packed(kept), folder)
    assert {path.name for path in folder.iterdir()} <= {DATABASE}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_headers_that_could_say_other_names_are_not_read(whole: bytes, folder: Path, form: int) -> None:
    kept = members(whole)
    kept[0][0].name = "x" * 150

    with pytest.raises(BackupDamaged):
        read(packed(kept, form), folder)


def test_a_size_beyond_what_is_allowed_is_refused_before_it_is_read(
    whole: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "PARTS", {DATABASE: len(CONTENT) - 1})

    with pytest.raises(BackupDamaged, match="too large"):
        read(whole, folder)
    assert (folder / DATABASE).stat().st_size == 0


def test_much_behind_the_end_is_refused_without_reading_it(whole: bytes, folder: Path) -> None:
    with pytest.raises(BackupDamaged, match="after its end"):
        read(gzip.compress(gzip.decompress(whole) + bytes(50_000_000), 1), folder)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [(b'"format": 1', b'"format": 2', BackupTooNew), (b'"format": 1', b'"format": x', BackupDamaged), (DATABASE.encode(), b"guardpanel.dx", BackupDamaged),
     (b'"revision": 7', b'"revision": []', BackupDamaged)],
)  # fmt: skip
def test_a_manifest_that_is_not_ours_is_refused(whole: bytes, folder: Path, old: bytes, new: bytes, kind: type) -> None:
    (info, text), database = members(whole)
    assert old in text

    with pytest.raises(kind):
        read(packed([(info, text.replace(old, new)), database]), folder)
