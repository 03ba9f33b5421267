"""A host and its port, as they stand in an origin or a Host header."""

import re

from guardpanel.models.types import refuse, server_host, split_port, visible


def site(text: str) -> str:
    """A hostname or address, with a port if it has one."""
    host, port = split_port(text)
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise refuse("The port must be between 1 and 65535.")
    name = server_host(host)[0]
    return (f"[{name}]" if ":" in name else name) + (f":{int(port)}" if port else "")


def optional_site(text: str) -> str:
    typed = visible(text.strip())
    if re.search(r"[/?#@*]", typed):
        raise refuse("Enter a hostname or address, with a port if it needs one.")
    return site(typed) if typed else ""
