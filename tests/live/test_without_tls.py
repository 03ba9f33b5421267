"""An HAProxy without TLS: said at start, by doctor, and at the field before a save fails. None of the builds at hand lacks it, so a
script says for one of them that it does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.panel import Panel, running_panel
from tests.web import Person, a_host, an_account

pytestmark = pytest.mark.one_haproxy

WITHOUT = """#!/bin/sh
[ "$1 $2" != "-cc feature(OPENSSL)" ] || exit 1
exec {binary} "$@"
"""


@pytest.fixture(scope="module")
def panel(haproxy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    binary = tmp_path_factory.mktemp("bin") / "haproxy"
    Path(binary).write_text(WITHOUT.format(binary=haproxy))
    binary.chmod(0o755)
    with running_panel(str(binary)) as running:
        an_account(running)
        yield running


def test_https_is_refused_in_words_everywhere(panel: Panel) -> None:
    words = "This HAProxy was built without TLS (OpenSSL)."
    doctor = panel.command("doctor", code=1)
    with Person(panel) as ada:
        refused = ada.post("/virtual-hosts", {**a_host(9, hostnames="shop.example"), "https": "on"})
        saved = ada.post("/virtual-hosts", a_host(9, hostnames="shop.example"))
        system = ada.get("/system")

    assert f"guardpanel: HTTPS: {words}" in panel.output.read_text()
    assert f"missing  HTTPS: {words}" in doctor
    assert (refused.status, refused.errors["https"].startswith(words)) == (422, True)
    assert saved.status == 200
    assert words in system.text
