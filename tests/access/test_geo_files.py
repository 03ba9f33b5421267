"""Files that say where addresses are from: what is read of each maker's, and what of a damaged one."""

from pathlib import Path
from typing import Any

import pytest

from guardpanel.access import geo_files
from guardpanel.access.geo_files import GeoKind, NotReadable
from tests.mmdb import country, database, network

COUNTRY, NETWORK = GeoKind.COUNTRY, GeoKind.NETWORK


@pytest.mark.parametrize(
    ("kind", "record", "value"),
    [
        (COUNTRY, country("DE"), "DE"),
        (COUNTRY, {"country_code": "SE", "country": "Sweden"}, "SE"),
        (COUNTRY, {"country": "NO", "country_name": "Norway"}, "NO"),
        (COUNTRY, {"registered_country": {"iso_code": "US"}}, None),
        (COUNTRY, {"country": {"iso_code": "de; x"}}, None),
        (NETWORK, network(64500), "AS64500"),
        (NETWORK, {"asn": "AS64501", "country_code": "DE"}, "AS64501"),
        (NETWORK, {"asn": "0"}, None),
        (NETWORK, {"autonomous_system_number": 2**33}, None),
        (NETWORK, country("DE"), None),
        (COUNTRY, ["DE"], None),
    ],
)
def test_each_makers_record_is_read(kind: GeoKind, record: Any, value: str | None) -> None:
    assert geo_files.VALUES[kind](record) == value


def test_a_file_becomes_a_map_without_more_networks_than_it_needs(tmp_path: Path) -> None:
    halves = {
        "192.0.2.0/25": "DE",
        "192.0.2.128/26": "DE",
        "192.0.2.192/26": "DE",
        "192.0.3.0/24": "FR",
        "198.51.100.7/32": "DE",
    }
    path = database(tmp_path / "a.mmdb", {**halves, "2001:db8::/33": "SE", "2001:db8:8000::/33": "SE"})

    assert geo_files.map_of(path, COUNTRY).decode().splitlines() == [
        "192.0.2.0/24 DE", "192.0.3.0/24 FR", "198.51.100.7 DE", "2001:db8::/32 SE"
    ]  # fmt: skip
    assert [geo_files.look_up(path, COUNTRY, ip) for ip in ("192.0.2.1", "192.0.4.1", "2001:db8:ffff::1", "::1")] == [
        "DE", "--", "SE", "--"
    ]  # fmt: skip
    assert geo_files.about(path).database == "Test-Country"


def test_a_file_of_ipv4_alone_knows_no_ipv6(tmp_path: Path) -> None:
    path = database(tmp_path / "a.mmdb", {"192.0.2.0/24": network(64500)}, ip_version=4)

    assert geo_files.map_of(path, NETWORK) == b"192.0.2.0/24 AS64500\n"
    assert [geo_files.look_up(path, NETWORK, ip) for ip in ("192.0.2.1", "::1")] == ["AS64500", "--"]


def test_what_is_no_such_file_says_so(tmp_path: Path) -> None:
    whole = database(tmp_path / "a.mmdb", {"192.0.2.0/24": "DE"})
    text, cut = tmp_path / "b.mmdb", tmp_path / "c.mmdb"
    text.write_text("<!DOCTYPE html>")
    cut.write_bytes(whole.read_bytes()[:-300])

    for path in (text, cut):
        with pytest.raises(NotReadable, match="not a MaxMind DB file"):
            geo_files.map_of(path, COUNTRY)
        with pytest.raises(NotReadable, match="not a MaxMind DB file"):
            geo_files.look_up(path, COUNTRY, "192.0.2.1")
    with pytest.raises(NotReadable, match="no numbers of networks"):
        geo_files.map_of(whole, NETWORK)
    with pytest.raises(FileNotFoundError):
        geo_files.about(tmp_path / "none.mmdb")


@pytest.mark.parametrize("place", range(0, 600, 7))
def test_damage_at_any_place_is_no_fault_of_ours(tmp_path: Path, place: int) -> None:
    """In what is asked about one address, which the panel reads itself."""
    damaged = bytearray(database(tmp_path / "a.mmdb", {"192.0.2.0/24": "DE", "2001:db8::/32": "SE"}).read_bytes())
    damaged[-1 - place % len(damaged)] ^= 0xFF
    path = tmp_path / "b.mmdb"
    path.write_bytes(damaged)

    for ask in (lambda: geo_files.about(path), lambda: geo_files.look_up(path, COUNTRY, "192.0.2.1")):
        try:
            ask()
        except (NotReadable, OSError):
            continue
