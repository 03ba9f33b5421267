"""Visitors get the same answers from a haproxy.cfg that is imported by the command as from HAProxy with the file itself.

`GUARDPANEL_TEST_IMPORTS=DIR` tries other files, such as those of docs/import.md; `-rP` prints how many requests."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guardpanel.readable_yaml import read, written
from tests.live.origins import origin
from tests.live.side_by_side import Frontend, Moved, alone, answer, moved, pem, requests, same, servers
from tests.panel import Panel
from tests.ports import free_port
from tests.web import EMAIL

pytestmark = pytest.mark.one_haproxy

OWN = Path(__file__).parent / "imports"
FILES = sorted(Path(os.environ.get("GUARDPANEL_TEST_IMPORTS", OWN)).glob("*.cfg"))

Row = dict[str, Any]


def ports() -> Iterator[int]:
    while True:
        yield free_port()


@contextlib.contextmanager
def imported(panel: Panel, file: Path, names: dict[str, str]) -> Iterator[list[Row]]:
    """The virtual hosts of a file, live: they answer no unknown hostnames afterwards, which others want to."""
    site = file.with_suffix(".yaml")
    hostnames = [option for name, host in names.items() for option in ("--hostname", f"{name}={host}")]
    confirmed = ("--save-anyway", "--as", EMAIL)  # These redirect to https://, which is off in what is imported.
    panel.command("import", str(file), *hostnames, "--output", str(site), "--apply", *confirmed)
    document = read(site.read_text())
    try:
        yield document["virtual_hosts"]
    finally:
        hosts = [{**host, "answers_unknown": False} for host in document["virtual_hosts"]]
        panel.command("apply", "-", *confirmed, stdin=written({**document, "virtual_hosts": hosts}))


def frontend_of(hostname: str, there: Moved, names: dict[str, str]) -> Frontend:
    """The one that serves it, over TLS if two do."""
    own = [each for name, each in there.frontends.items() if hostname in (names[name], *each.text.split())]
    return min(own, key=lambda each: not each.is_tls)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_answers_are_those_of_the_file(shared_panel: Panel, haproxy: str, file: Path, tmp_path: Path) -> None:
    text, path = file.read_text(), tmp_path / file.name
    with contextlib.ExitStack() as running:
        here = {address: running.enter_context(origin()).address for address in servers(text)}
        there = moved(text, here, ports(), pem(tmp_path / "any.pem"))
        path.write_text(there.imported)
        names = {name: f"{name.replace('_', '-')}.{file.stem}.test" for name in there.frontends}
        hosts = running.enter_context(imported(shared_panel, path, names))
        running.enter_context(alone(haproxy, there.run, tmp_path))

        asked, differing = 0, []
        enabled = [host["hostnames"][0] for host in hosts if host.get("enabled", True)]
        for hostname in enabled:
            frontend = frontend_of(hostname, there, names)
            for request in requests([hostname], frontend.text):
                expected = answer(frontend.address, request, there.pools, tls=frontend.is_tls)
                given = answer(("127.0.0.1", shared_panel.proxy_port), request, there.pools)
                asked += 1
                differing += [] if same(expected, given) else [(request, expected, given)]

    sys.stdout.write(
        f"{asked} requests to {len(enabled)} of {len(hosts)} virtual hosts, {len(differing)} with another answer\n"
    )
    assert differing == []
    assert asked >= 20
