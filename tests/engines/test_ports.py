"""Where HAProxy can listen, asked by a panel that may be allowed less than HAProxy."""

import errno
import os
import socket
from pathlib import Path

import pytest

from guardpanel.bundle import Bundle
from guardpanel.engines.haproxy import ports
from guardpanel.engines.haproxy.ports import must_be_free_at_start
from guardpanel.engines.releases import Releases
from guardpanel.errors import ConfigRejected, EngineUnavailable
from tests.ports import free_port


def test_a_port_in_use_is_refused_with_its_user() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        words = ports.taken([other.getsockname()])

    assert "Address already in use. Change GUARDPANEL_HTTPS_BIND. It is used by process" in words


def test_a_udp_port_in_use_is_refused_unless_an_old_worker_of_ours_shares_it() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{other.getsockname()[1]}"
        files = {"haproxy.cfg": f"    bind quic4@{place} ssl crt-list crt-list.txt alpn h3 name quic1\n".encode()}
        words, unchanged = ports.busy(files), ports.busy(files, files)
    with socket.socket(type=socket.SOCK_DGRAM) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        ours.bind(("127.0.0.1", int(place.rpartition(":")[2])))
        shared = ports.busy(files)

    assert words.startswith(
        f"Cannot listen on UDP {place}: Address already in use. Change GUARDPANEL_HTTPS_BIND, or turn off HTTP/3."
    )
    assert "It is used by process" in words
    assert unchanged == shared == ""


def test_haproxys_own_port_is_not_in_use_after_its_configuration_was_changed_or_deleted_by_hand(tmp_path: Path) -> None:
    """A save that overwrites such a change, as the operator has confirmed, is not refused for it."""
    releases = Releases(tmp_path)
    releases.publish(releases.stage(1, Bundle({"haproxy.cfg": b"global\n"}, "a" * 64, (), {})))
    with socket.create_server(("127.0.0.1", free_port())) as ours:
        bind = f"    bind 127.0.0.1:{ours.getsockname()[1]} ssl crt-list crt-list.txt alpn h2 name tls1\n"
        files = {"haproxy.cfg": bind.encode(), "crt-list.txt": b"certs/default.pem shop.test\n"}
        bundle = Bundle(files, "b" * 64, (), {})
        with pytest.raises(ConfigRejected):
            ports.must_be_free_for(bundle, releases)
        releases.publish(releases.stage(2, bundle))
        (releases.link / "haproxy.cfg").write_text(f"{bind}# by hand\n")
        ports.must_be_free_for(bundle, releases)

        (releases.link / "haproxy.cfg").unlink()
        ports.must_be_free_for(bundle, releases)


@pytest.mark.parametrize(("number", "is_taken"), [(errno.EACCES, False), (errno.EADDRNOTAVAIL, True)])
def test_what_only_the_panel_may_not_do_is_left_to_haproxy(
    monkeypatch: pytest.MonkeyPatch, number: int, is_taken: bool
) -> None:
    """A HAProxy of its own may have the capability for ports below 1024."""
    monkeypatch.setattr(ports, "refusal", lambda *_: OSError(number, os.strerror(number)))

    assert bool(ports.taken([("192.0.2.1", 443)])) is is_taken


def test_a_port_of_the_live_configuration_that_is_in_use_is_said_before_the_start(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        bind = f"    bind quic4@127.0.0.1:{other.getsockname()[1]} ssl crt-list crt-list.txt alpn h3 name quic1\n"
        must_be_free_at_start(releases)
        releases.publish(releases.stage(1, Bundle({"haproxy.cfg": bind.encode()}, "0" * 64, (), {})))

        with pytest.raises(EngineUnavailable, match=r"Cannot listen on UDP .* Address already in use"):
            must_be_free_at_start(releases)
    must_be_free_at_start(releases)
