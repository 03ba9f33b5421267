"""How long the path of a socket may be: HAProxy's word on the limit that the settings keep."""

import subprocess
from pathlib import Path

from guardpanel.listen_addresses import HAPROXY_SOCKET_LIMIT


def test_the_limit_is_haproxys_own(haproxy: str, tmp_path: Path) -> None:
    assert checked(haproxy, tmp_path, HAPROXY_SOCKET_LIMIT).returncode == 0

    beyond = checked(haproxy, tmp_path, HAPROXY_SOCKET_LIMIT + 1)

    assert (beyond.returncode, "too long" in beyond.stderr) == (1, True)


def checked(haproxy: str, folder: Path, length: int) -> "subprocess.CompletedProcess[str]":
    path = "/run/".ljust(length, "s")
    (folder / "haproxy.cfg").write_text(
        f"defaults\n mode http\n timeout client 1s\nfrontend one\n bind unix@{path}\n http-request deny\n"
    )
    return subprocess.run(
        [haproxy, "-c", "-f", folder / "haproxy.cfg"], capture_output=True, text=True, check=False, timeout=60
    )
