"""DNS-01 by dynamic updates (RFC 2136), signed with TSIG (RFC 8945)."""

import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind
from guardpanel.acme.network_words import reason
from guardpanel.acme.order import Record
from guardpanel.later import Later

if TYPE_CHECKING:
    import dns.exception
    import dns.inet
    import dns.message
    import dns.name
    import dns.query
    import dns.rcode
    import dns.rdatatype
    import dns.resolver
    import dns.tsig
    import dns.tsigkeyring
    import dns.update
else:
    dns = Later("dns")

TTL_SECONDS = 5
TIMEOUT_SECONDS = 5.0
DNS_PORT = 53

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1")


@dataclass(frozen=True)
class TsigKey:
    name: str
    secret: str = field(repr=False)
    "Base64."
    algorithm: str = "hmac-sha256"


@dataclass(frozen=True)
class DnsServer:
    """The server that takes updates. Without a key they are not signed."""

    host: str
    port: int = DNS_PORT
    key: TsigKey | None = None


def read_key(text: str) -> TsigKey:
    """A key file as `tsig-keygen` writes it, or `hmac-sha256:NAME:SECRET`. Raises ValueError."""
    block = re.search(r'\bkey\s+"?([^\s"{]+)"?\s*\{(.*?)\}', text, re.DOTALL)
    if block:
        algorithm = re.search(r'\balgorithm\s+"?([A-Za-z0-9.-]+)"?\s*;', block[2])
        secret = re.search(r'\bsecret\s+"?([A-Za-z0-9+/=]+)"?\s*;', block[2])
        if algorithm and secret:
            return _usable(TsigKey(block[1], secret[1], algorithm[1].lower()))
    line = re.search(r"^#?\s*(hmac-[a-z0-9-]+):([^\s:]+):([A-Za-z0-9+/=]+)\s*$", text, re.MULTILINE)
    if line:
        return _usable(TsigKey(line[2], line[3], line[1]))
    raise ValueError("no key in it: expected what tsig-keygen writes")


def _usable(key: TsigKey) -> TsigKey:
    if key.algorithm.removesuffix(".") not in ALGORITHMS:
        raise ValueError(f"{key.algorithm} is not supported. Use one of: {', '.join(ALGORITHMS)}")
    try:
        dns.tsigkeyring.from_text({key.name: key.secret})
    except (ValueError, dns.exception.DNSException):
        raise ValueError("its name or secret is cut off, or not Base64") from None
    return key


class DnsUpdates:
    """Puts TXT records into the server's zones, and looks whether all name servers of a zone return them. `look_up_servers` is
    asked for their addresses."""

    def __init__(self, server: DnsServer, look_up_servers: "ServersOf") -> None:
        self.server = server
        self._look_up_servers = look_up_servers

    def add(self, records: Sequence[Record]) -> None:
        """Adding a record that exists changes nothing (RFC 2136 §3.4.2.2)."""
        for zone, own in self._by_zone(records).items():
            update = self._update(zone)
            for record in own:
                update.add(dns.name.from_text(f"{record.name}."), TTL_SECONDS, "TXT", _quoted(record.value))
            self._send(update)

    def remove(self, records: Sequence[Record]) -> None:
        for zone, own in self._by_zone(records).items():
            update = self._update(zone)
            for record in own:
                update.delete(dns.name.from_text(f"{record.name}."), "TXT", _quoted(record.value))
            self._send(update)

    def lagging(self, records: Sequence[Record]) -> str:
        for zone, own in self._by_zone(records).items():
            if missing := missing_record(self._look_up_servers(self.server, zone), own):
                return missing
        return ""

    def _by_zone(self, records: Sequence[Record]) -> dict[str, list[Record]]:
        zones: dict[str, list[Record]] = {}
        for record in records:
            zones.setdefault(self._zone(record.name), []).append(record)
        return zones

    def _zone(self, name: str) -> str:
        """The zone that a name is in. The server names it in its answer, positive or negative (RFC 2308 §3)."""
        question = dns.message.make_query(f"{name}.", "SOA")
        with _told_faults():
            answer, _ = dns.query.udp_with_fallback(question, self._address(), TIMEOUT_SECONDS, self.server.port)
        for rrset in (*answer.answer, *answer.authority):
            if rrset.rdtype == dns.rdatatype.SOA:
                return rrset.name.to_text()
        raise _fault(f"The DNS server has no zone for {name}: {dns.rcode.to_text(answer.rcode())}.")

    def _address(self) -> str:
        host = self.server.host
        return host if dns.inet.is_address(host) else socket.gethostbyname(host)

    def _update(self, zone: str) -> "dns.update.UpdateMessage":
        key = self.server.key
        try:
            keyring = dns.tsigkeyring.from_text({key.name: key.secret}) if key else None
            algorithm = key.algorithm if key else "hmac-sha256"
            return dns.update.UpdateMessage(zone, keyring=keyring, keyalgorithm=algorithm)
        except (ValueError, dns.exception.DNSException) as error:
            raise _fault("The DNS server’s key is not valid.") from error

    def _send(self, update: "dns.update.UpdateMessage") -> None:
        with _told_faults():
            answer = dns.query.tcp(update, self._address(), port=self.server.port, timeout=TIMEOUT_SECONDS)
        if answer.rcode() != dns.rcode.NOERROR:
            raise _fault(f"The DNS server rejected the update: {dns.rcode.to_text(answer.rcode())}.")


def missing_record(servers: Iterable[tuple[str, int]], records: Sequence[Record]) -> str:
    """Which server does not return which record, in words. Empty: none. A server that does not answer does not count: it may be
    hidden, and the authority asks others then."""
    for place in servers:
        for record in records:
            if _has(place, record) is False:
                return f"{place[0]} does not return the TXT record of {record.name}.{_alias(place, record)}"
    return ""


def _has(place: tuple[str, int], record: Record) -> bool | None:
    """None without an answer."""
    question = dns.message.make_query(f"{record.name}.", "TXT")
    with suppress(dns.exception.DNSException, OSError):
        answer, _ = dns.query.udp_with_fallback(question, place[0], port=place[1], timeout=TIMEOUT_SECONDS)
        texts = {b"".join(data.strings).decode("latin-1") for rrset in answer.answer for data in rrset if _is_txt(data)}
        return record.value in texts
    return None


def _alias(place: tuple[str, int], record: Record) -> str:
    """A CNAME takes the place of all other records: an update then adds nothing (RFC 2136 §3.4.2.2)."""
    question = dns.message.make_query(f"{record.name}.", "CNAME")
    with suppress(dns.exception.DNSException, OSError):
        answer, _ = dns.query.udp_with_fallback(question, place[0], port=place[1], timeout=TIMEOUT_SECONDS)
        for rrset in answer.answer:
            if rrset.rdtype == dns.rdatatype.CNAME:
                return f" It is an alias of {rrset[0].target.to_text()} Remove the CNAME record, or use a command."
    return ""


ServersOf = Callable[[DnsServer, str], Iterable[tuple[str, int]]]
"The addresses and ports of a zone's name servers."


def name_servers(server: DnsServer, zone: str) -> list[tuple[str, int]]:
    """Those by public DNS, else the server itself."""
    servers = []
    with suppress(dns.exception.DNSException):
        for data in dns.resolver.resolve(zone, "NS", lifetime=TIMEOUT_SECONDS):
            with suppress(dns.exception.DNSException):
                addresses = dns.resolver.resolve(data.target, "A", lifetime=TIMEOUT_SECONDS)
                servers += [(address.to_text(), DNS_PORT) for address in addresses]
    return servers or only_itself(server, zone)


def only_itself(server: DnsServer, _zone: str) -> list[tuple[str, int]]:
    """For a server that is its zones' only one."""
    return [(server.host, server.port)]


@contextmanager
def _told_faults() -> Iterator[None]:
    """What the server's answer, or silence, means."""
    try:
        yield
    except (dns.tsig.PeerBadSignature, dns.tsig.BadSignature) as error:
        raise _fault("The DNS server rejected the key: its secret differs.") from error
    except dns.tsig.PeerBadKey as error:
        raise _fault("The DNS server does not know the key, or the key may not change TXT records.") from error
    except dns.tsig.PeerBadTime as error:
        raise _fault("The DNS server’s clock differs from this machine’s by more than 5 minutes.") from error
    except dns.exception.Timeout as error:
        raise _fault("The DNS server did not answer.") from error
    except dns.exception.DNSException as error:
        raise _fault("The DNS server rejected the request.", str(error)) from error
    except OSError as error:
        raise _fault("The DNS server can’t be reached.", f"{reason(error).capitalize()}.") from error


def _is_txt(data: object) -> bool:
    return getattr(data, "rdtype", None) == dns.rdatatype.TXT


def _quoted(value: str) -> str:
    return f'"{value}"'


def _fault(message: str, detail: str = "") -> AuthorityFault:
    return AuthorityFault(Fault(FaultKind.PROOF, message, detail))
