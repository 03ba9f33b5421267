"""`haproxy -c` reads each certificate once, until it, its line or what it is checked under changes."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guardpanel.bundle import Bundle
from guardpanel.engines import HAProxy
from guardpanel.engines.haproxy.certificate_checks import CertificateChecks
from guardpanel.engines.releases import Releases
from guardpanel.engines.shared_folders import SHARED
from guardpanel.engines.tls import default_certificate
from guardpanel.errors import ConfigRejected

CONFIG = b"""global
    default-path config
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    timeout client 1s
    timeout connect 1s
    timeout server 1s
frontend visitors
    bind 127.0.0.1:20390 ssl crt-list crt-list.txt name tls1
"""
FIRST, SECOND, THIRD = (
    "certs/default.pem not-configured.invalid",
    "certs/1.pem [ssl-min-ver TLSv1.3] a.test",
    "certs/2.pem b.test c.test",
)
KEYS = {name: default_certificate.made(datetime.now(UTC)) for name in ("default", "1", "2", "other")}


def bundle_of(*lines: str, config: bytes = CONFIG, **secrets: str) -> Bundle:
    """`secrets`: other content for a certificate."""
    files = {"haproxy.cfg": config, "crt-list.txt": "".join(f"{line}\n" for line in lines).encode()}
    held = {name: KEYS[secrets.get(f"of_{name}", name)] for name in ("default", "1", "2")}
    return Bundle(files, "c" * 64, (), {}, secrets={f"certs/{name}.pem": pem for name, pem in held.items()})


class Checked:
    """What HAProxy would be given of one bundle after the other."""

    def __init__(self, folder: Path) -> None:
        self.releases, self.checks, self.number = Releases(folder), CertificateChecks(), 0

    def lines(self, bundle: Bundle, haproxy: str = "a", *, fails: bool = False) -> list[str]:
        self.number += 1
        release = self.releases.stage(self.number, bundle)
        read: list[str] = []
        with suppress(ConfigRejected), self.checks.folder(release, bundle, haproxy) as folder:
            read = (folder / "crt-list.txt").read_text().splitlines()
            for name, content in {**bundle.files, **bundle.secrets}.items():
                assert name == "crt-list.txt" or (folder / name).read_bytes() == content
            self.reject_if(fails)
        releases = {path.name for path in self.releases.root.iterdir()} - {SHARED}
        assert releases == {str(n + 1) for n in range(self.number)}
        return read

    def reject_if(self, fails: bool) -> None:
        if fails:
            raise ConfigRejected("No.", engine="HAProxy", output="")


@pytest.fixture
def checked(tmp_path: Path) -> Checked:
    return Checked(tmp_path)


ALL = [FIRST, SECOND, THIRD]


def test_a_certificate_that_passed_is_not_read_again(checked: Checked) -> None:
    assert checked.lines(bundle_of(*ALL), fails=True) == ALL
    assert checked.lines(bundle_of(*ALL)) == ALL
    assert checked.lines(bundle_of(*ALL)) == [FIRST]
    assert checked.lines(bundle_of(*ALL, config=CONFIG + b"    maxconn 17\n")) == [FIRST]
    assert checked.lines(bundle_of(*ALL, of_2="other"), fails=True) == [FIRST, THIRD]
    assert checked.lines(bundle_of(*ALL, of_2="other")) == [FIRST, THIRD]
    assert checked.lines(bundle_of(*ALL, of_2="other")) == [FIRST]
    assert checked.lines(bundle_of(FIRST, SECOND, f"{THIRD} d.test", of_2="other")) == [FIRST, f"{THIRD} d.test"]


CHANGES: Mapping[str, tuple[Bundle, str]] = {
    "another HAProxy": (bundle_of(*ALL), "b"),
    "other options for all": (bundle_of(*ALL, config=CONFIG.replace(b"TLSv1.2", b"TLSv1.3")), "a"),
    "other options of a listener": (
        bundle_of(*ALL, config=CONFIG.replace(b" name tls1", b" strict-sni name tls1")),
        "a",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_all_are_read_again_under_other_conditions(checked: Checked, change: str) -> None:
    checked.lines(bundle_of(*ALL))

    assert checked.lines(*CHANGES[change]) == ALL
    assert checked.lines(bundle_of(*ALL)) == ALL


def test_a_file_that_a_line_names_counts(checked: Checked) -> None:
    line = "certs/1.pem [ca-file client_ca/1.pem verify required] a.test"
    first, then = (
        replace(bundle, files={**bundle.files, "client_ca/1.pem": content})
        for bundle, content in ((bundle_of(FIRST, line, THIRD), b"A"), (bundle_of(FIRST, line, THIRD), b"B"))
    )
    checked.lines(first)

    assert checked.lines(first) == [FIRST]
    assert checked.lines(then) == [FIRST, line]


@pytest.mark.anyio
async def test_haproxy_rejects_the_one_that_changed(tmp_path: Path) -> None:
    releases, haproxy = Releases(tmp_path), HAProxy()
    await haproxy.check(releases.stage(1, bundle_of(*ALL)), bundle_of(*ALL))
    certificate, _, key = KEYS["2"].partition(b"-----BEGIN PRIVATE")
    _, _, other = KEYS["other"].partition(b"-----BEGIN PRIVATE")
    good = bundle_of(*ALL)
    broken = replace(good, secrets={**good.secrets, "certs/2.pem": certificate + b"-----BEGIN PRIVATE" + other})

    with pytest.raises(ConfigRejected) as rejected:
        await haproxy.check(releases.stage(2, broken), broken)

    assert key != other
    assert [(finding.noun, finding.noun_id) for finding in rejected.value.findings if finding.noun] == [
        ("certificate", 2)
    ]
    assert str(tmp_path) not in rejected.value.output
    await haproxy.check(releases.stage(3, good), good)
