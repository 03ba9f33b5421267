"""`haproxy -c` is not run if only entries of address lists differ from what passed last."""

from dataclasses import replace
from pathlib import Path

import pytest

from guardpanel.bundle import Bundle
from guardpanel.engines import HAProxy
from guardpanel.engines.releases import Releases
from guardpanel.errors import ConfigRejected

CONFIG = b"""defaults
    mode http
    timeout client 1s
    timeout connect 1s
    timeout server 1s
frontend visitors
    bind 127.0.0.1:20391
    http-request deny if { src,map_ip(lists/1.map) -m found }
"""
GOOD = Bundle({"haproxy.cfg": CONFIG}, "c" * 64, (), {}, data={"lists/1.map": b"192.0.2.7 1\n"})
UNREADABLE = {"lists/1.map": b"192.0.2.7/99 1\n"}
"Which HAProxy rejects, so that a check tells that it ran."


@pytest.mark.anyio
async def test_entries_alone_are_not_read_again(tmp_path: Path) -> None:
    releases, haproxy = Releases(tmp_path), HAProxy()

    async def check(bundle: Bundle) -> None:
        await haproxy.check(releases.stage(1, bundle), bundle)

    with pytest.raises(ConfigRejected):
        await check(replace(GOOD, data=UNREADABLE))
    await check(GOOD)
    await check(replace(GOOD, data=UNREADABLE))
    for other in (
        replace(GOOD, data=UNREADABLE),  # Nothing differs: it is redeployed.
        replace(GOOD, data=UNREADABLE, checksum="d" * 64),
        replace(GOOD, data={**UNREADABLE, "lists/2.map": b""}),
        replace(GOOD, data=UNREADABLE, secrets={"certs/1.pem": b"other"}),
    ):
        with pytest.raises(ConfigRejected):
            await check(other)
