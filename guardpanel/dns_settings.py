"""What the settings for DNS-01 may be, checked before anything starts."""

import re
import shlex
from ipaddress import ip_address

PORT = 53

NO_DNS = "DNS-01 is not set up: set GUARDPANEL_DNS_SERVER, GUARDPANEL_DNS_LEXICON or GUARDPANEL_DNS_HOOK."

HOSTNAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")


def dns_host_and_port(text: str) -> tuple[str, int]:
    """`192.0.2.1`, `[2001:db8::1]:5353`, `2001:db8::1`, or `ns1.example:53`. Raises ValueError."""
    text = text.strip()
    if is_address(text.removeprefix("[").removesuffix("]")):
        return text.removeprefix("[").removesuffix("]"), PORT
    host, separator, port = text.rpartition(":")
    host, port = (host, port) if separator else (text, str(PORT))
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if not is_port or not (is_address(host) or HOSTNAME.fullmatch(host)):
        raise ValueError(f"GUARDPANEL_DNS_SERVER: {text!r} is not address or address:port")
    return host, int(port)


def check_dns(server: str, key_file: str, lexicon: str, lexicon_file: str, hook: str) -> None:
    """Raises ValueError: the first thing that is wrong, by the variable's name."""
    given = {"SERVER": server, "LEXICON": lexicon, "HOOK": hook}
    several = [f"GUARDPANEL_DNS_{name}" for name, text in given.items() if text]
    if len(several) > 1:
        raise ValueError(f"{' and '.join(several)} are both set. Remove one")
    if key_file and not server:
        raise ValueError("GUARDPANEL_DNS_KEY_FILE needs GUARDPANEL_DNS_SERVER. Set both")
    if lexicon_file and not lexicon:
        raise ValueError("GUARDPANEL_DNS_LEXICON_FILE needs GUARDPANEL_DNS_LEXICON. Set both")
    if server:
        dns_host_and_port(server)
    if lexicon and not re.fullmatch(r"[a-z][a-z0-9]{1,40}", lexicon):
        raise ValueError(f"GUARDPANEL_DNS_LEXICON: {lexicon!r} is not a provider’s name, such as cloudflare")
    if hook:
        _check_command(hook)


def _check_command(hook: str) -> None:
    try:
        words = shlex.split(hook)
    except ValueError as error:
        raise ValueError(f"GUARDPANEL_DNS_HOOK is not a command: {str(error).lower()}") from None
    if not words:
        raise ValueError("GUARDPANEL_DNS_HOOK is not a command: it is empty")


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
