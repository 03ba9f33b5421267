"""Names that an order can have: hostnames, wildcards and IP addresses."""

from ipaddress import ip_address


def is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_wildcard(name: str) -> bool:
    return name.startswith("*.")


def challenge_name(name: str) -> str:
    """The name of the TXT record that proves a name (RFC 8555 §8.4). A wildcard has that of its parent."""
    return f"_acme-challenge.{name.removeprefix('*.')}"
