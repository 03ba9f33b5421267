"""DNS-01 by dynamic updates (RFC 2136), signed with TSIG (RFC 8945)."""

import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

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

from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind
from guardpanel.acme.order import Record

TTL_SECONDS = 5
TIMEOUT_SECONDS = 5.0
DNS_PORT = 53


@dataclass(frozen=True)
class DnsServer:
    """The server that takes updates. Without a key name, updates are not signed."""

    host: str
    port: int
    zone: str
    key_name: str = ""
    algorithm: str = "hmac-sha256"
    secret: str = ""
    "Base64."


class DnsUpdates:
    """Puts TXT records into a zone, and looks whether they are served. `look_up_servers` is asked for the addresses of all of a
    zone's name servers."""

    def __init__(self, server: DnsServer, look_up_servers: Callable[[DnsServer], Iterable[tuple[str, int]]]) -> None:
        self.server = server
        self._look_up_servers = look_up_servers

    def add(self, records: Sequence[Record]) -> None:
        """Adding a record that exists changes nothing (RFC 2136 §3.4.2.2)."""
        update = self._update()
        for record in records:
            update.add(dns.name.from_text(f"{record.name}."), TTL_SECONDS, "TXT", _quoted(record.value))
        self._send(update)

    def remove(self, records: Sequence[Record]) -> None:
        if not records:
            return
        update = self._update()
        for record in records:
            update.delete(dns.name.from_text(f"{record.name}."), "TXT", _quoted(record.value))
        self._send(update)

    def are_visible(self, records: Sequence[Record]) -> bool:
        """A server that does not answer does not count: it may be hidden, and the authority asks others then."""
        answers = [self._has(place, record) for place in self._look_up_servers(self.server) for record in records]
        return all(answer is not False for answer in answers)

    def _update(self) -> dns.update.UpdateMessage:
        server = self.server
        try:
            keyring = dns.tsigkeyring.from_text({server.key_name: server.secret}) if server.key_name else None
            return dns.update.UpdateMessage(f"{server.zone}.", keyring=keyring, keyalgorithm=server.algorithm)
        except (ValueError, dns.exception.DNSException) as error:
            raise _fault("The DNS server’s zone or key is not valid.", error) from error

    def _send(self, update: dns.update.UpdateMessage) -> None:
        server = self.server
        try:
            address = socket.gethostbyname(server.host) if not dns.inet.is_address(server.host) else server.host
            answer = dns.query.tcp(update, address, port=server.port, timeout=TIMEOUT_SECONDS)
        except (dns.tsig.PeerBadSignature, dns.tsig.BadSignature) as error:
            raise _fault("The DNS server rejected the key: its secret differs.", error) from error
        except dns.tsig.PeerBadKey as error:
            raise _fault(
                "The DNS server does not know the key, or the key may not change TXT records.", error
            ) from error
        except dns.tsig.PeerBadTime as error:
            raise _fault("The DNS server’s clock differs from this machine’s by more than 5 minutes.", error) from error
        except dns.exception.Timeout as error:
            raise _fault("The DNS server did not answer.", error) from error
        except dns.exception.DNSException as error:
            raise _fault("The DNS server rejected the update. Is the zone its own?", error) from error
        except OSError as error:
            raise _fault("The DNS server cannot be reached.", error) from error
        if answer.rcode() != dns.rcode.NOERROR:
            raise _fault(f"The DNS server rejected the update: {dns.rcode.to_text(answer.rcode())}.")

    def _has(self, place: tuple[str, int], record: Record) -> bool | None:
        """None without an answer."""
        question = dns.message.make_query(f"{record.name}.", "TXT")
        with suppress(dns.exception.DNSException, OSError):
            answer, _ = dns.query.udp_with_fallback(question, place[0], port=place[1], timeout=TIMEOUT_SECONDS)
            texts = {b"".join(data.strings).decode() for rrset in answer.answer for data in rrset if _is_txt(data)}
            return record.value in texts
        return None


def name_servers(server: DnsServer) -> list[tuple[str, int]]:
    """Those of the zone by public DNS, else the server itself."""
    found = []
    with suppress(dns.exception.DNSException):
        for data in dns.resolver.resolve(f"{server.zone}.", "NS", lifetime=TIMEOUT_SECONDS):
            with suppress(dns.exception.DNSException):
                addresses = dns.resolver.resolve(data.target, "A", lifetime=TIMEOUT_SECONDS)
                found += [(address.to_text(), DNS_PORT) for address in addresses]
    return found or [(server.host, server.port)]


def only_itself(server: DnsServer) -> list[tuple[str, int]]:
    """For a server that is the zone's only one."""
    return [(server.host, server.port)]


def _is_txt(data: object) -> bool:
    return getattr(data, "rdtype", None) == dns.rdatatype.TXT


def _quoted(value: str) -> str:
    return f'"{value}"'


def _fault(message: str, error: Exception | None = None) -> AuthorityFault:
    return AuthorityFault(Fault(FaultKind.PROOF, message, "" if error is None else f"{type(error).__name__}: {error}"))
