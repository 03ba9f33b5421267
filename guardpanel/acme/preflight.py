"""What an authority would find, looked at beforehand: a failed proof counts against its limits, a look of ours does not.

It is no proof: this machine may see other addresses than the authority does. All functions block.
"""

import http.client
import secrets
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from guardpanel.acme.names import is_address, is_wildcard
from guardpanel.acme.network_words import reason
from guardpanel.later import Later

if TYPE_CHECKING:
    import dns.exception
    import dns.rdatatype
    import dns.resolver
else:
    dns = Later("dns")

PATH = "/.well-known/acme-challenge/"
HTTP_PORT = 80
TIMEOUT_SECONDS = 5.0
ADDRESSES_TRIED = 4

LIMIT_SECONDS = 30.0
"For all names of a certificate together."

AT_ONCE = 8
"Names that are looked at side by side."


@dataclass(frozen=True)
class Caa:
    """A CAA record (RFC 8659): `issue` or `issuewild`, and the authority that may."""

    tag: str
    value: str


@dataclass(frozen=True)
class Finding:
    """What would go wrong for a name. `is_certain`: the authority sees the same."""

    name: str
    words: str
    is_certain: bool = False


@dataclass(frozen=True)
class Network:
    """How this machine sees names. Tests have another one."""

    addresses: Callable[[str], Sequence[str]]
    caa: Callable[[str], Sequence[Caa]]
    http_port: int = HTTP_PORT


def addresses(name: str) -> list[str]:
    """IPv4 and IPv6 addresses, without repetitions. Empty if there are none."""
    with suppress(OSError, UnicodeError):
        infos = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(place[4][0]) for place in infos))
    return []


def caa(name: str) -> list[Caa]:
    """Its own records. Empty without any, or if they can't be looked up."""
    with suppress(dns.exception.DNSException):
        answer = dns.resolver.resolve(f"{name}.", "CAA", lifetime=TIMEOUT_SECONDS)
        return [Caa(data.tag.decode().lower(), data.value.decode()) for data in answer]
    return []


Look = tuple[str, Callable[[], Finding | None]]
"A name, and what looks at it."

THIS_MACHINES = Network(addresses, caa)


def findings(
    names: Sequence[str],
    *,
    by_http: bool,
    thumbprint_for: Callable[[str], str],
    caa_names: Sequence[str],
    network: Network = THIS_MACHINES,
    limit_seconds: float = LIMIT_SECONDS,
) -> list[Finding]:
    """`caa_names`: those under which CAA records name the authority. Empty: its directory names none."""
    looks = [
        (name, partial(_caa_finding, name, caa_names, network)) for name in names if caa_names and not is_address(name)
    ]
    if by_http:
        looks += [(name, partial(_http_finding, name, thumbprint_for(name), network)) for name in names]
    return side_by_side(looks, limit_seconds)


def first_findings(
    names: Sequence[str], *, by_dns: bool, caa_names: Sequence[str], network: Network = THIS_MACHINES
) -> list[Finding]:
    """Before HAProxy serves the names: without asking them for a proof."""
    findings_by_dns = findings(names, by_http=False, thumbprint_for=str, caa_names=caa_names, network=network)
    if not by_dns:
        looks = [(name, partial(_address_finding, name, network)) for name in names if not is_address(name)]
        findings_by_dns += side_by_side(looks, LIMIT_SECONDS)
    return findings_by_dns


def _address_finding(name: str, network: Network) -> Finding | None:
    return None if network.addresses(name) else Finding(name, "It does not resolve to an address.")


def side_by_side(looks: Sequence[Look], limit_seconds: float) -> list[Finding]:
    """What they find, in order, with those that took too long. Their threads hold nobody up: whoever answers a byte at a time
    must not keep the panel from going on, or from ending."""
    futures: list[Future[Finding | None]] = [Future() for _ in looks]
    waiting = deque(zip(looks, futures, strict=True))

    def work() -> None:
        with suppress(IndexError):
            while True:
                (_, look), future = waiting.popleft()
                try:
                    future.set_result(look())
                except Exception as error:  # noqa: BLE001 raised again where the result is read
                    future.set_exception(error)

    for _ in range(min(AT_ONCE, len(looks))):
        threading.Thread(target=work, daemon=True, name="preflight").start()
    late = wait(futures, limit_seconds).not_done
    waiting.clear()
    words = f"It took longer than {limit_seconds:.0f} s to look. A name server or an address does not answer."
    results = [
        Finding(name, words) if future in late else future.result()
        for (name, _), future in zip(looks, futures, strict=True)
    ]
    return list(dict.fromkeys(finding for finding in results if finding is not None))


def _caa_finding(name: str, caa_names: Sequence[str], network: Network) -> Finding | None:
    """The records closest to the name count (RFC 8659 §3)."""
    labels = name.removeprefix("*.").split(".")
    for at in range(len(labels) - 1):
        parent = ".".join(labels[at:])
        records = network.caa(parent)
        wanted = "issuewild" if is_wildcard(name) and any(record.tag == "issuewild" for record in records) else "issue"
        allowed = [record.value.partition(";")[0].strip().lower() for record in records if record.tag == wanted]
        if allowed and not {*allowed} & {name.lower() for name in caa_names}:
            others = ", ".join(filter(None, allowed))
            rule = f"allow only {others} to issue" if others else "allow no authority to issue"
            return Finding(name, f"The CAA records of {parent} {rule}.", is_certain=True)
        if records:
            return None
    return None


def _http_finding(name: str, thumbprint: str, network: Network) -> Finding | None:
    places = [name] if is_address(name) else network.addresses(name)
    if not places:
        return Finding(name, "It does not resolve to an address.")
    for place in places[:ADDRESSES_TRIED]:
        if words := _answer_fault(name, place, network.http_port, thumbprint):
            return Finding(name, words)
    return None


def _answer_fault(name: str, address: str, port: int, thumbprint: str) -> str:
    """What is wrong with the answer at an address. Empty: it is ours."""
    token = secrets.token_urlsafe(16)
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", f"{PATH}{token}", headers={"Host": f"[{name}]" if ":" in name else name})
        answer = connection.getresponse()
        body = answer.read(1000).decode("latin-1")
    except (OSError, http.client.HTTPException) as error:
        return f"{address}, port {port}, can’t be reached: {reason(error)}."
    finally:
        connection.close()
    if answer.status == 200 and body == f"{token}.{thumbprint}":
        return ""
    return f"{address}, port {port}, is answered by something other than this HAProxy (status {answer.status})."
