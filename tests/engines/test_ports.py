"""Where HAProxy can listen, asked by a panel that may be allowed less than HAProxy."""

import errno
import os
import socket

import pytest

from guardpanel.engines.haproxy import ports
from tests.ports import free_port


def test_a_port_in_use_is_refused_with_its_user() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        words = ports.taken([other.getsockname()])

    assert "Address already in use. Change GUARDPANEL_HTTPS_BIND. It is used by process" in words


@pytest.mark.parametrize(("number", "is_taken"), [(errno.EACCES, False), (errno.EADDRNOTAVAIL, True)])
def test_what_only_the_panel_may_not_do_is_left_to_haproxy(
    monkeypatch: pytest.MonkeyPatch, number: int, is_taken: bool
) -> None:
    """A HAProxy of its own may have the capability for ports below 1024."""
    monkeypatch.setattr(ports, "refusal", lambda *_: OSError(number, os.strerror(number)))

    assert bool(ports.taken([("192.0.2.1", 443)])) is is_taken
