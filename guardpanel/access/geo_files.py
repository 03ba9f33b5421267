"""Files that say where addresses are from (`.mmdb`, the MaxMind DB format): read whole into HAProxy's map, and asked about one.

Countries are `country.iso_code` (MaxMind, DB-IP), `country_code` or `country` (IPinfo, ip-location-db); networks are
`autonomous_system_number` or `asn`. Of a country that is only where a network is registered, nothing is read.

A whole file is read by the library's C reader, as a process of its own (`main`): damaged files were seen to end it. To import the
models would take that process longer than most files. What is asked about one address goes through the slower reader in Python.
"""

import re
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, NamedTuple

MOST_NETWORKS = 2_000_000
"In HAProxy's memory, 280 bytes each."

ASN_BITS = 32

CODE = re.compile(r"[A-Z]{2}", re.ASCII)
NUMBER = re.compile(r"(?:AS)?([0-9]{1,10})", re.ASCII | re.IGNORECASE)


class GeoKind(StrEnum):
    COUNTRY = "country"
    NETWORK = "network"


class NotReadable(Exception):
    """Words for the page, without a period."""


class About(NamedTuple):
    database: str
    "What its maker calls it: `DBIP-Country-Lite`."
    built_at: datetime


class Part(NamedTuple):
    """A network: bits of an address, the first address as a number, how many of its bits are given, and where it is from."""

    bits: int
    first: int
    prefix: int
    value: str


def main(arguments: Sequence[str]) -> int:
    """`KIND FILE MAP`: writes HAProxy's map of what a file has. Says why not, and ends with 1."""
    kind, path, target = arguments
    try:
        Path(target).write_bytes(map_of(Path(path), GeoKind(kind)))
    except (NotReadable, OSError) as error:
        sys.stdout.write(str(error))
        return 1
    return 0


def map_of(path: Path, kind: GeoKind) -> bytes:
    """As HAProxy reads it: `192.0.2.0/24 DE`, no network within another one. Raises NotReadable, and OSError."""
    parts = _merged(_parts(path, kind))
    if not parts:
        raise NotReadable(f"It has no {'countries' if kind is GeoKind.COUNTRY else 'numbers of networks (ASN)'}")
    return "".join(f"{_network(part)} {part.value}\n" for part in parts).encode()


def look_up(path: Path, kind: GeoKind, address: str) -> str:
    """Where an address is from: `DE`, `AS64500` or `--`. Raises NotReadable, and OSError."""
    from guardpanel.models.policies.countries import UNKNOWN

    with _Opened(path) as database:
        if ":" in address and database.metadata().ip_version == 4:
            return UNKNOWN
        return VALUES[kind](database.get(address)) or UNKNOWN


def about(path: Path) -> About:
    """Raises NotReadable, and OSError."""
    with _Opened(path) as database:
        metadata = database.metadata()
        return About(str(metadata.database_type)[:80], datetime.fromtimestamp(metadata.build_epoch, UTC))


class _Opened:
    """An open file. Whatever its bytes make the reader raise says that it is no such file."""

    def __init__(self, path: Path, *, whole: bool = False) -> None:
        self.path, self.whole = path, whole

    def __enter__(self) -> Any:
        with self.path.open("rb"):
            pass  # The reader's own words for a file that it may not read say less.
        import maxminddb  # Few installations have such a file.

        self.wrong: tuple[type[Exception], ...] = (maxminddb.InvalidDatabaseError, *DAMAGED)
        mode = maxminddb.MODE_AUTO if self.whole else maxminddb.MODE_MMAP
        try:
            self.database = maxminddb.open_database(self.path, mode)
        except self.wrong as error:
            raise NotReadable("It is not a MaxMind DB file (.mmdb)") from error
        return self.database

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.database.close()
        if isinstance(error, self.wrong):
            raise NotReadable("It is damaged") from error


DAMAGED = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError, struct.error)


def country_of(record: object) -> str | None:
    if not isinstance(record, dict):
        return None
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code", country)
    return code if isinstance(code, str) and CODE.fullmatch(code) else None


def network_of(record: object) -> str | None:
    if not isinstance(record, dict):
        return None
    match = NUMBER.fullmatch(str(record.get("autonomous_system_number", record.get("asn", ""))))
    return f"AS{int(match[1])}" if match and 0 < int(match[1]) < 1 << ASN_BITS else None


VALUES: dict[GeoKind, Callable[[object], str | None]] = {GeoKind.COUNTRY: country_of, GeoKind.NETWORK: network_of}


def _parts(path: Path, kind: GeoKind) -> Iterator[Part]:
    """By address, without what nothing is known of."""
    value_of = VALUES[kind]
    with _Opened(path, whole=True) as database:
        for network, record in database:
            if value := value_of(record):
                yield Part(network.max_prefixlen, int(network.network_address), network.prefixlen, value)


def _merged(parts: Iterable[Part]) -> list[Part]:
    """Halves of a network that are from the same place become one."""
    merged: list[Part] = []
    for part in parts:
        merged.append(part)
        while len(merged) > 1 and (whole := _whole(merged[-2], merged[-1])):
            merged[-2:] = [whole]
        if len(merged) > MOST_NETWORKS:
            raise NotReadable(f"It has more than {MOST_NETWORKS:,} networks")
    return merged


def _whole(left: Part, right: Part) -> Part | None:
    if (left.bits, left.prefix, left.value) != (right.bits, right.prefix, right.value) or left.prefix < 2:
        return None
    is_half = left.first ^ right.first == 1 << (left.bits - left.prefix)
    return left._replace(prefix=left.prefix - 1) if is_half and left.first < right.first else None


def _network(part: Part) -> str:
    address = IPv4Address(part.first) if part.bits == 32 else IPv6Address(part.first)
    return str(address) if part.prefix == part.bits else f"{address}/{part.prefix}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
