"""Maps of fed lists, with a HAProxy that says what it is told and can be away."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from guardpanel.access.entries import Entries, Entry, ordered
from guardpanel.engines.haproxy.map_commands import Line
from guardpanel.errors import EngineUnavailable
from guardpanel.services.access.feed_maps import SAMPLES, FeedMaps, samples_of

pytestmark = pytest.mark.anyio

FOREVER = "9999999999"


@dataclass
class OneMap:
    """As OutsideMap."""

    path: Path
    is_away: bool = False
    running: bytes = b""
    writes: int = 0
    samples: list[str] = field(default_factory=list)

    async def write(self, content: bytes) -> bytes:
        before = self.path.read_bytes() if self.path.exists() else b""
        self.path.write_bytes(content)
        return before

    async def tell(self, _before: bytes, after: bytes) -> None:
        if self.is_away:
            raise EngineUnavailable("away")
        self.running = after

    async def decides_otherwise(self, total: int, expected: Mapping[str, Line | None]) -> bool:
        if self.is_away:
            raise EngineUnavailable("away")
        self.samples += expected
        lines = self.running.decode().splitlines()
        return len(lines) != total or any(line and " ".join(line) not in lines for line in expected.values())


class Maps:
    def __init__(self, table: OneMap) -> None:
        self.of = lambda _list_id: table


def listed(*networks: str) -> Entries:
    return ordered(Entry(network) for network in networks)


@pytest.fixture
def table(tmp_path: Path) -> OneMap:
    return OneMap(tmp_path / "1.map")


async def put(maps: FeedMaps, entries: Entries) -> bool:
    async def current() -> Entries:
        return entries

    is_live = await maps.apply(1, entries.reference.digest, current)
    await maps.mend(1, current)
    return is_live


async def test_what_haproxy_was_not_told_it_is_told_later(table: OneMap) -> None:
    maps = FeedMaps(Maps(table))  # type: ignore[arg-type]
    assert await put(maps, listed("192.0.2.1"))
    table.is_away = True
    assert not await put(maps, listed("192.0.2.2"))
    assert table.path.read_text() == f"192.0.2.2 {FOREVER}\n"
    table.is_away = False
    assert table.running == f"192.0.2.1 {FOREVER}\n".encode()
    assert await put(maps, listed("192.0.2.2"))
    assert table.running == f"192.0.2.2 {FOREVER}\n".encode()


async def test_all_samples_are_asked_for_in_turns_and_a_difference_is_mended(table: OneMap) -> None:
    entries = listed(*(f"192.0.2.{at}" for at in range(12)))
    maps = FeedMaps(Maps(table))  # type: ignore[arg-type]
    for _ in range(3):
        await put(maps, entries)
    assert sorted(set(table.samples)) == sorted(entry.network for entry in entries.items)
    table.running = table.running.replace(b"192.0.2.3 ", b"192.0.2.99 ")
    for _ in range(3):
        await put(maps, entries)
    assert table.running == entries.map


def test_samples_say_what_decides_and_are_few() -> None:
    nested = ordered(
        [Entry("10.0.0.0/8", 100), Entry("10.0.0.0/16", 200), Entry("10.0.0.0", 300), Entry("10.9.0.0/16", 0)]
    )
    assert samples_of(nested) == {"10.0.0.0": ("10.0.0.0", "300"), "10.9.0.0": ("10.9.0.0/16", FOREVER)}
    many = listed(*(f"10.{at // 200}.{at % 200}.1" for at in range(3_000)))
    assert SAMPLES <= len(samples_of(many)) <= 2 * SAMPLES
