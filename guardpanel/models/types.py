"""Values that are checked where they enter: hostnames, server addresses, plain text.

Every check uses `fullmatch` and ASCII classes: `$` accepts a trailing newline, and `\\d` digits that HAProxy does not.
"""

import re
import unicodedata
from collections.abc import Collection
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Annotated, Any, Final, NamedTuple

import idna
from pydantic import AfterValidator, BeforeValidator, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import Enum
from sqlmodel import SQLModel

from guardpanel.field_codes import FieldCode
from guardpanel.models.dns_names import HOSTNAME, ascii_name
from guardpanel.models.hostname_faults import fault
from guardpanel.models.refusing import refuse
from guardpanel.models.whole_numbers import kind_of, unit_of, whole_number

NAME_EXTRA: Final = " .,-_()&+/:@*’"


def hidden_character(text: str, *, allow: str = "") -> str | None:
    """Describe the first invisible character: a control, line separator or direction mark."""
    for character in text:
        if character not in allow and unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"}:
            name = unicodedata.name(character, "control character")
            return f"U+{ord(character):04X} ({name.lower()})"
    return None


def visible(text: str, *, allow: str = "") -> str:
    if character := hidden_character(text, allow=allow):
        raise refuse(f"Remove the invisible character {character}.")
    return unicodedata.normalize("NFC", text)


def plain_name(text: str) -> str:
    text = visible(text.strip())
    if not text:
        raise refuse("Enter a name.")
    for character in text:
        if not (character.isalnum() or unicodedata.category(character) in {"Mn", "Mc"} or character in NAME_EXTRA):
            raise refuse(f"Names can contain letters, digits, spaces, and . , - _ ( ) & + / : @ ’ but not {character}")
    return text


def notes(text: str) -> str:
    return visible(text.replace("\r\n", "\n").strip(), allow="\n\t\u200d")


def hostname(typed: str) -> str:
    """The canonical form. Keeps `*.` and drops one final dot."""
    text = visible(typed.strip()).removesuffix(".")
    wildcard, rest = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    if "://" in rest or "/" in rest:
        raise refuse("Enter only the hostname, for example shop.example, not a URL.")
    if ":" in rest:
        raise refuse("Enter the hostname without a port.")
    try:
        canonical = ascii_name(rest)
    except (idna.IDNAError, UnicodeError) as error:
        raise refuse(f"{typed.strip()[:80]} is not a hostname: {fault(error)}.") from None
    if not HOSTNAME.fullmatch(canonical) or len(canonical) > 253 - len(wildcard):
        raise refuse(f"{typed.strip()[:80]} is not a hostname.")
    return wildcard + canonical


def display_name(canonical: str) -> str:
    """A canonical hostname in its original script, or unchanged if it cannot be decoded."""
    if "xn--" not in canonical:
        return canonical
    try:
        return ("*." if canonical.startswith("*.") else "") + idna.decode(canonical.removeprefix("*."))
    except idna.IDNAError:
        return canonical


class Endpoint(NamedTuple):
    """A server's address: `host` is an IP address or a canonical hostname."""

    host: str
    port: int
    tls: bool
    is_name: bool

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@lru_cache(maxsize=50_000)
def endpoint(typed: str, *, scheme: str = "http") -> Endpoint:
    """Parse `10.0.0.5:3000`, `app.lan`, `https://app.lan` or `[2001:db8::1]:80`. The scheme implies the port."""
    text = visible(typed.strip())
    if "://" in text:
        scheme, text = text.split("://", 1)
        scheme = scheme.lower()
    if scheme not in {"http", "https"}:
        raise refuse("The scheme must be http or https.")
    authority, *path = re.split("[/?#]", text.removesuffix("/"), maxsplit=1)
    if path or "@" in authority:
        excess = "a user name and password" if "@" in authority else "a path"
        raise refuse(f"Enter only the address and port, without {excess}.")
    host, port = split_port(authority)
    number = 443 if scheme == "https" else 80
    if port is not None:
        if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
            raise refuse("The port must be between 1 and 65535.")
        number = int(port)
    canonical, is_name = server_host(host)
    return Endpoint(canonical, number, scheme == "https", is_name)


def split_port(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise refuse("Put IPv6 addresses in brackets: [2001:db8::1]:80.")
        return host, rest[1:] if rest else None
    if text.count(":") > 1:
        raise refuse("Put IPv6 addresses in brackets: [2001:db8::1]:80.")
    host, colon, port = text.partition(":")
    return host, port if colon else None


def server_host(text: str) -> tuple[str, bool]:
    """An address that HAProxy may connect to, or a hostname (True). Rejects odd notations (`0x7f.1`, `127.1`)."""
    if not text:
        raise refuse("Enter a server address, for example 10.0.0.5:3000.")
    try:
        address = ip_address(text)
    except ValueError:
        return server_name(text), True
    if isinstance(address, IPv6Address):
        if address.scope_id:
            raise refuse("Enter the address without a zone (%).")
        address = address.ipv4_mapped or address
    if address.is_link_local or address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        raise refuse(f"{address} can’t be a server.")
    if address in {ip_address("169.254.169.254"), ip_address("fd00:ec2::254")}:
        raise refuse(f"{address} is a cloud metadata address and can’t be a server.")
    return str(address), False


def in_circles(address: str) -> str:
    """Why this cannot be a server's address."""
    return f"HAProxy itself listens on {address}. Using it would create a loop."


def is_ourselves(address: str, binds: Collection[tuple[str, int]]) -> bool:
    """Whether HAProxy itself listens on a server's address (`127.0.0.1:8080`)."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    return any(
        int(port) == own_port and (host in {own, "localhost"} or (own in {"0.0.0.0", "::"} and host.startswith("127.")))  # noqa: S104
        for own, own_port in binds
    )


def server_name(text: str) -> str:
    try:
        name = hostname(text)
    except PydanticCustomError:
        raise refuse(f"{text[:80]} is neither an IP address nor a hostname.") from None
    # A name whose last label is a number would be read as an address by some resolvers: 127.1, 0x7f.1.
    if name.startswith("*.") or re.fullmatch(r"(?:0x[0-9a-f]*|[0-9]+)", name.rsplit(".", 1)[-1]):
        raise refuse(f"{text[:80]} is neither an IP address nor a hostname.")
    return name


def path(text: str) -> str:
    text = text.strip()
    if not re.fullmatch(r"/[A-Za-z0-9/_.~?&=+,:@-]{0,254}", text):
        raise refuse("Start the path with /. Use letters, digits, and / _ . ~ ? & = + , : @ - (255 at most).")
    return text


class Fields(SQLModel):
    """The base of every input type. Accepts numbers as pages show them, and does not accept true as 1."""

    @field_validator("*", mode="before")
    @classmethod
    def whole_numbers(cls, value: object, info: ValidationInfo) -> object:
        if kind_of(cls, info) is not int:
            return value
        if isinstance(value, bool):
            raise refuse("Enter a whole number.", FieldCode.WRONG_TYPE)
        return whole_number(value, unit_of(cls, info)) if isinstance(value, str) and value else value


Name = Annotated[str, StringConstraints(max_length=100), AfterValidator(plain_name)]
Notes = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(notes)]
FilePlace = Annotated[str, StringConstraints(max_length=300), AfterValidator(lambda text: visible(text.strip()))]
Owner = Annotated[str, StringConstraints(max_length=255), AfterValidator(lambda text: visible(text.strip()))]
Path = Annotated[str, AfterValidator(path)]


def lines(value: object) -> object:
    """A textarea's lines, or values separated by commas, as a list. A list is returned unchanged."""
    if isinstance(value, str):
        return [part.strip() for part in re.split(r"[\n,]", value.replace("\r", "\n")) if part.strip()]
    return value


def without_empty(entries: list[str]) -> list[str]:
    if not all(entry.strip() for entry in entries):
        raise refuse("Remove the empty entry.")
    return entries


Lines = Annotated[list[str], BeforeValidator(lines), AfterValidator(without_empty)]


def stored(choices: type[StrEnum]) -> Any:
    """A column that stores an enum's value, not its Python name."""
    return Enum(choices, values_callable=lambda kinds: [kind.value for kind in kinds], native_enum=False, length=20)
