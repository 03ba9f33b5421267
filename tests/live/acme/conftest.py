"""pebble, its name server, and an installation that orders from it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.acme.authority import KEY_NAME, SECRET, Knot, Pebble
from tests.live.acme.issuing import Issuing
from tests.live.saves import installation_of
from tests.ports import free_port


@pytest.fixture(scope="module")
def knot() -> Iterator[Knot]:
    with Knot() as server:
        yield server


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def pebble(port: int, knot: Knot) -> Iterator[Pebble]:
    with Pebble(port, knot.port) as server:
        yield server


@pytest.fixture(scope="module")
async def issuing(
    haproxy: str, port: int, pebble: Pebble, knot: Knot, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Issuing]:
    key_file = tmp_path_factory.mktemp("keys") / "acme.key"
    key_file.write_text(f'key "{KEY_NAME}" {{\n\talgorithm hmac-sha256;\n\tsecret "{SECRET}";\n}};\n')
    settings = {
        "http_bind": f"127.0.0.1:{port}",
        "dns_server": f"127.0.0.1:{knot.port}",
        "dns_key_file": str(key_file),
    }
    async with installation_of(haproxy, **settings) as installation:
        yield Issuing(installation, pebble, knot)
