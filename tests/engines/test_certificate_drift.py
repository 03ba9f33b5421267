"""Each certificate is asked for within a minute, however many there are."""

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from guardpanel.engines.differences import Place
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.releases import Releases
from guardpanel.engines.runtime.certificate_drift import LOOKS, MOST, CertificateInspector
from guardpanel.engines.tls.handshakes import first_of
from tests.certificates.made import leaf

pytestmark = pytest.mark.anyio

ANSWER = """Filename: {file}
Status: Used
Serial: 01
notBefore: Nov  1 00:00:00 2026 GMT
Subject Alternative Name: DNS:shop.example
Algorithm: EC256
SHA1 FingerPrint: {fingerprint}
Subject: /CN=shop.example
Issuer: /CN=Example
Chain Filename: {file}

"""


class Cli(MasterCli):
    """HAProxy has every certificate of the release but these."""

    def __init__(self, pem: str) -> None:
        super().__init__(Path("none"))
        self.fingerprint = hashlib.sha1(first_of(pem.encode()), usedforsecurity=False).hexdigest().upper()
        self.others: dict[str, str] = {}
        self.asked_for: list[str] = []

    async def _ask(self, command: str, patience: float = 0.0, *, again_after_silence: bool = True) -> str:
        files = [part.removeprefix("@1 show ssl cert ") for part in command.split("; ")]
        self.asked_for += files
        return "".join(
            ANSWER.format(file=file, fingerprint=fingerprint)
            for file in files
            if (fingerprint := self.others.get(file, self.fingerprint))
        )


def inspector(folder: Path, count: int) -> tuple[CertificateInspector, Cli]:
    pem, releases = leaf().pem, Releases(folder)
    certs = releases.root / "1" / "certs"
    certs.mkdir(parents=True)
    for number in range(count):
        (certs / f"{number}.pem").write_text(pem)
    lines = [(f"certs/{number}.pem", f"{number}.example") for number in range(count)]
    verifier: Any = SimpleNamespace(certificate_lines=lines, handshakes={})
    cli = Cli(pem)
    return CertificateInspector(cli, verifier, releases), cli


@pytest.mark.parametrize("count", [1, 7, 90, LOOKS * MOST])
async def test_all_are_asked_for_in_the_looks_of_a_minute(tmp_path: Path, count: int) -> None:
    looking, cli = inspector(tmp_path, count)

    assert [await looking.inspect(1) for _ in range(LOOKS)] == [[]] * LOOKS

    assert len(set(cli.asked_for)) == count
    assert len(cli.asked_for) <= LOOKS * -(-count // LOOKS)


@pytest.mark.parametrize("other", ["0" * 40, ""])
async def test_one_that_was_replaced_or_removed_is_named_until_it_is_back(tmp_path: Path, other: str) -> None:
    looking, cli = inspector(tmp_path, 90)
    cli.others["certs/77.pem"] = other

    looks = [await looking.inspect(1) for _ in range(LOOKS + 2)]

    words = "HAProxy has another certificate for 77.example than certs/77.pem. It was probably changed through the Runtime API."
    drifts = [drift for look in looks for drift in look]
    assert {(drift.place, drift.what) for drift in drifts} == {(Place.HAPROXY, words)}
    assert looks[-1] and looks[-2]
    cli.others.clear()
    assert [await looking.inspect(1) for _ in range(LOOKS)] == [[]] * LOOKS


async def test_a_file_that_cannot_be_read_is_reported_with_the_files(tmp_path: Path) -> None:
    looking, _ = inspector(tmp_path, 3)
    (tmp_path / "releases" / "1" / "certs" / "1.pem").unlink()

    assert [await looking.inspect(1) for _ in range(LOOKS)] == [[]] * LOOKS
