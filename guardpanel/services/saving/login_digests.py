"""Hashes of logins, opened for HAProxy."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from guardpanel.models.site_login import place
from guardpanel.sealing import KeyLost, Seal


def opened(virtual_host_id: object, name: object, sealed: str, seal: Seal) -> str:
    """The hash. Empty if there is none, or if this master key does not open it."""
    try:
        return seal.open(base64.b64decode(sealed), place(virtual_host_id, name)).decode() if sealed else ""
    except (KeyLost, ValueError):
        return ""


def digests(rows: Iterable[Mapping[str, Any]], seal: Seal) -> dict[str, str]:
    """By what is sealed: HAProxy's hash."""
    each = ((row["sealed"], opened(row["virtual_host_id"], row["name"], row["sealed"], seal)) for row in rows)
    return {sealed: hashed for sealed, hashed in each if hashed}
