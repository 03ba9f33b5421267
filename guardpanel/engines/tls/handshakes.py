"""What a TLS handshake gets: the proof that a certificate is served."""

import asyncio
import ssl
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from guardpanel.bundle import Bundle
from guardpanel.engines import http
from guardpanel.engines.files import content_of
from guardpanel.engines.proxy_lines import certificate_lines
from guardpanel.errors import EngineSilent, EngineUnavailable

END = "-----END CERTIFICATE-----"

Places = Mapping[http.Place, bool]
"HTTPS listeners, each with whether it expects a PROXY line from this machine."


def leaves(bundle: Bundle, files: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """A hostname of each of these files that is in use, and its certificate as DER."""
    for file, name in certificate_lines(bundle.files):
        if file in files:
            yield name, first_of(bundle.secrets[file])


def first_of(pem: bytes) -> bytes:
    """The first certificate of a file, as DER."""
    text = pem.decode()
    return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE") : text.index(END) + len(END)] + "\n")


async def difference(places: Places, release: Path, file: str, name: str) -> str | None:
    """Whether these listeners serve what is in a release's file. Raises EngineUnavailable."""
    try:
        wanted = first_of(await asyncio.to_thread(content_of, release / file))
    except (OSError, ValueError):
        return None  # Reported with the files.
    for place, proxy_line in places.items():
        if await leaf(place, name, proxy_line=proxy_line) != wanted:
            return f"HAProxy serves another certificate for {name} than {file}."
    return None


async def other_than(places: Places, wanted: Collection[tuple[str, bytes]], tries: int) -> str | None:
    """Where new connections to a listener get another certificate (DER) than wanted for a name. `tries`: at least so many per
    listener, since a second HAProxy on its port would accept a share of them. Raises EngineUnavailable."""
    each = -(-tries // max(1, len(wanted)))
    handshakes = [(*place, *line) for place in places.items() for line in wanted for _ in range(each)]
    for start in range(0, len(handshakes), tries):
        some = handshakes[start : start + tries]
        served = await asyncio.gather(*(leaf(place, name, proxy_line=line) for place, line, name, _ in some))
        for (*_, name, der), now in zip(some, served, strict=True):
            if now != der:
                return f"A new connection for {name} still gets another certificate."
    return None


async def leaf(place: http.Place, name: str, *, proxy_line: bool = False) -> bytes:
    """The certificate of a new connection, as DER. Raises EngineUnavailable, and EngineSilent after the timeout."""
    if isinstance(place, Path):
        raise EngineUnavailable(f"{place} is no listener for TLS.")
    try:
        async with asyncio.timeout(2):
            _, writer = await http.connected(place, name, proxy_line=proxy_line)
            try:
                return writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        kind = EngineSilent if isinstance(error, TimeoutError) else EngineUnavailable
        raise kind(f"No TLS connection for {name}: {http.reason(error)}.") from error
