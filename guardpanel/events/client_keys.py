"""What the agent writes in the place of a client's address (docs/events.md, *Recorded ordinary requests*)."""

import hmac
import re
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

FILE = "record.key"
"In the agent's directory of events."

KEY_DIGITS = 32


def client_key(folder: Path, address: str) -> str | None:
    """None where no key is known, and so nothing was recorded under it. Raises ValueError for what is no address, OSError
    where the key cannot be read."""
    client = ip_address(address)
    if isinstance(client, IPv6Address):
        client = client.ipv4_mapped or client
    prefix = ip_network(f"{client}/{32 if client.version == 4 else 64}", strict=False)
    try:
        text = (folder / FILE).read_text("ascii").strip()
    except FileNotFoundError:
        return None
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise OSError(f"{FILE} is not a key")
    return hmac.new(bytes.fromhex(text), str(prefix).encode(), "sha256").hexdigest()[:KEY_DIGITS]
