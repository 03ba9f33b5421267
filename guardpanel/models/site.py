"""Hosts of which a virtual host makes something: with a port in an origin or a Host header, or a hostname alone."""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from guardpanel.models.refusing import refuse
from guardpanel.models.types import hostname, server_host, split_port, visible


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


def optional_hostname(text: str) -> str:
    name = hostname(text) if text.strip() else ""
    if name.startswith("*."):
        raise refuse("Wildcards can’t be used here.")
    return name


OptionalHostname = Annotated[str, StringConstraints(max_length=300), AfterValidator(optional_hostname)]
