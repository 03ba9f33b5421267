"""The certificate of the panel's own listener: from the operator's files, or self-signed and stored in the data directory."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

from guardpanel.certificates import making
from guardpanel.certificates.pem import Material
from guardpanel.certificates.reading import Parsed, parse
from guardpanel.engines.files import content_of, write_atomically
from guardpanel.errors import Invalid, Problem
from guardpanel.listen_addresses import host_and_port
from guardpanel.models.certificates.certificate import KeyType, certificate_name
from guardpanel.models.certificates.certificate_content import LONG_AGO
from guardpanel.settings import Settings


@dataclass(frozen=True)
class PanelCertificate:
    pem: bytes = field(repr=False)
    "Leaf, intermediates, key."
    fingerprint: str
    "SHA-256: pairs of hexadecimal digits, as browsers show it."
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    is_made_here: bool
    is_new: bool = False
    "Made just now."


def read(settings: Settings, now: datetime) -> PanelCertificate:
    """The files of the settings as they are now. Without them the self-signed one, which is made at the first call, and again
    with less than a third of its life left. Raises Problem with what to change."""
    stored = current(settings)
    if stored is not None and not (stored.is_made_here and _is_outdated(stored, settings, now)):
        return stored
    made, path = making.self_signed(tuple(_own_names(settings)), KeyType.ECDSA, now), settings.panel_certificate
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, _pem(made), 0o600)
    except OSError as error:
        raise Problem(f"{path}: {error.strerror or error}.") from error
    return replace(_described(made, is_made_here=True), is_new=True)


def current(settings: Settings) -> PanelCertificate | None:
    """None if the self-signed one is lost, or is none. Raises Problem with what to change: what can't be read now is not
    replaced, since browsers were told to trust it."""
    if settings.listen_certificate_file:
        return _described(_from_files(settings), is_made_here=False)
    path = settings.panel_certificate
    try:
        return _described(parse(Material(content_of(path)), LONG_AGO), is_made_here=True)
    except (FileNotFoundError, Invalid):
        return None
    except OSError as error:
        raise Problem(f"{path}: {error.strerror or error}.") from error


def _from_files(settings: Settings) -> Parsed:
    """What is expired is served, too: the panel must be there to say so."""
    certificate, key = settings.listen_certificate_file, settings.listen_key_file
    sent = Material(
        _file("GUARDPANEL_LISTEN_CERTIFICATE_FILE", certificate),
        _file("GUARDPANEL_LISTEN_KEY_FILE", key) if key else b"",
    )
    try:
        return parse(sent, LONG_AGO)
    except Invalid as error:
        words = " ".join(fault.message for fault in error.errors.values()) or error.message
        if "password" in error.errors:
            words = "It is encrypted. Store it without a password, so that guardpanel can start by itself."
        at_key = error.errors.keys() & {"private_key", "password"}
        name, path = ("KEY", key or certificate) if at_key else ("CERTIFICATE", certificate)
        raise Problem(f"GUARDPANEL_LISTEN_{name}_FILE ({path}): {words}") from error


def _file(name: str, path: str) -> bytes:
    try:
        return content_of(Path(path))
    except OSError as error:
        raise Problem(f"{name}: {path}: {error.strerror or error}.") from error


def _is_outdated(stored: PanelCertificate, settings: Settings, now: datetime) -> bool:
    """Not by the machine's name: a container gets another one at each start."""
    host = host_and_port(settings.listen)[0]
    is_for_another = host not in stored.names and not ip_address(host).is_unspecified
    return is_for_another or stored.not_after - now < making.LIFETIME / 3


def _own_names(settings: Settings) -> Iterator[str]:
    """By which a browser may open the panel."""
    yield "localhost"
    with suppress(ValueError):
        if (name := certificate_name(socket.gethostname())) != "localhost":
            yield name
    hosts = {"127.0.0.1", "::1", host_and_port(settings.listen)[0]}
    yield from sorted(host for host in hosts if not ip_address(host).is_unspecified)


def _pem(parsed: Parsed) -> bytes:
    return parsed.chain_pem.encode() + parsed.key_pem


def _described(parsed: Parsed, *, is_made_here: bool) -> PanelCertificate:
    fingerprint = parsed.fingerprint.upper()
    return PanelCertificate(
        _pem(parsed),
        ":".join(fingerprint[i : i + 2] for i in range(0, len(fingerprint), 2)),
        parsed.names,
        parsed.leaf.not_valid_before_utc,
        parsed.leaf.not_valid_after_utc,
        is_made_here,
    )
