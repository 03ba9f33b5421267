"""What HAProxy looks for when it is sent a user name and a password: a hash of both."""

import base64
import hashlib
import hmac
from collections import defaultdict
from collections.abc import Collection, Mapping

from guardpanel.rendering.facts import EngineFacts
from guardpanel.rendering.rows import Rows
from guardpanel.sealing import login_key


def digest(secret: str, name: str, password: str) -> str:
    """Of what a client sends for them (RFC 7617 §2), in UTF-8."""
    sent = base64.b64encode(f"{name}:{password}".encode())
    return hmac.new(base64.b64decode(login_key(secret)), sent, hashlib.sha256).hexdigest()


def by_virtual_host(rows: Rows, facts: EngineFacts, enabled: Collection[int]) -> Mapping[int, str]:
    """Maps: `5f3a… ada`."""
    lines = defaultdict(list)
    for row in rows.get("sitelogin", ()):
        hashed = facts.login_digests.get(row["sealed"])
        if row["virtual_host_id"] in enabled and hashed:
            lines[row["virtual_host_id"]].append(f"{hashed} {row['name']}\n")
    return {number: "".join(sorted(own)) for number, own in lines.items()}
