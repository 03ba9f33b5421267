"""Names that HAProxy proves to ACME authorities by HTTP-01."""

from collections.abc import Collection, Mapping
from typing import Any

from guardpanel.models.certificates.certificate import is_address
from guardpanel.rendering.facts import EngineFacts
from guardpanel.rendering.rows import Rows

HOSTS_MAP = "acme_hosts.map"


def proven_names(rows: Rows) -> tuple[str, ...]:
    """Those of all certificates that are issued by an authority after HTTP-01, sorted."""
    return tuple(sorted({name for row in rows.get("certificate", ()) if _is_proven_here(row) for name in row["names"]}))


def awaited_names(rows: Rows, issued: Collection[int]) -> frozenset[str]:
    """Those of certificates that an authority has not issued yet."""
    ordered = (row for row in rows.get("certificate", ()) if row["source"] == "acme" and row["id"] not in issued)
    return frozenset(name for row in ordered for name in row["names"])


def _is_proven_here(row: Mapping[str, Any]) -> bool:
    return bool(row["source"] == "acme" and row["challenge"] == "http-01")


def hosts_map(names: tuple[str, ...], facts: EngineFacts) -> str:
    """`shop.example THUMBPRINT`. In a Host header, IPv6 addresses are in brackets."""
    return "".join(f"{_in_header(name)} {facts.thumbprint_for(name)}\n" for name in names)


def _in_header(name: str) -> str:
    return f"[{name}]" if is_address(name) and ":" in name else name
