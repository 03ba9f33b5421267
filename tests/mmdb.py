"""Databases of where addresses are from, as their makers publish them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

Records = Mapping[str, Any]
"By network: `127.9.0.0/16` → a record, or a country's code."


def database(path: Path, records: Records, kind: str = "Test-Country", ip_version: int = 6) -> Path:
    """A `.mmdb` file."""
    writer = MMDBWriter(ip_version, kind, ipv4_compatible=ip_version == 6, description="Made for a test")
    for network, record in records.items():
        writer.insert_network(IPSet([network]), country(record) if isinstance(record, str) else record)
    writer.to_db_file(str(path))
    return path


def country(code: str) -> dict[str, Any]:
    """As MaxMind and DB-IP have it."""
    return {"continent": {"code": "EU"}, "country": {"iso_code": code, "names": {"en": f"Country {code}"}}}


def network(number: int) -> dict[str, Any]:
    return {"autonomous_system_number": number, "autonomous_system_organization": "Example"}
