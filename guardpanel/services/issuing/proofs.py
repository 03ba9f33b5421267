"""Where the proofs of an order's names come from: HAProxy, a DNS server, or a command, as the settings say."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from guardpanel.acme.dns_updates import DNS_PORT, DnsServer, DnsUpdates, ServersOf, name_servers, read_key
from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind
from guardpanel.acme.hook import Hook
from guardpanel.acme.names import is_address
from guardpanel.acme.order import HTTP_01, Order, Proofs, Record
from guardpanel.engines import Engines
from guardpanel.errors import EngineUnavailable
from guardpanel.settings import Settings

PATH = "/.well-known/acme-challenge/"

NO_DNS = "DNS-01 is not set up: set GUARDPANEL_DNS_SERVER or GUARDPANEL_DNS_HOOK."


class NoRecords:
    """HTTP-01: HAProxy answers by itself (config_templates/haproxy/_acme.cfg.j2)."""

    def add(self, records: Sequence[Record]) -> None:
        pass

    def lagging(self, records: Sequence[Record]) -> str:  # noqa: ARG002 there are none
        return ""

    def remove(self, records: Sequence[Record]) -> None:
        pass


@dataclass(frozen=True)
class Proving:
    settings: Settings
    engines: Engines
    thumbprint: str
    servers_of: ServersOf = name_servers

    async def prepare(self, order: Order) -> None:
        """Before an authority asks for HTTP-01, HAProxy is asked. Raises AuthorityFault if it does not answer as it should: a
        failed proof would count."""
        if order.challenge != HTTP_01:
            return
        for fault in (await self.faults_of_own(order.names)).values():
            raise AuthorityFault(Fault(FaultKind.PROOF, fault))

    async def faults_of_own(self, names: Sequence[str]) -> dict[str, str]:
        """Why HAProxy would not prove names, by name. One without an answer speaks for all of them."""
        faults = {}
        for name in names:
            try:
                if fault := await self._fault_of_own(name):
                    faults[name] = fault
            except EngineUnavailable as problem:
                return {**faults, name: problem.message}
        return faults

    async def _fault_of_own(self, name: str) -> str:
        """Empty if it does. Raises EngineUnavailable."""
        token, verifier = secrets.token_urlsafe(16), self.engines.verifier
        host = f"[{name}]" if is_address(name) and ":" in name else name
        answer = await verifier.ask(verifier.binds[0], f"{PATH}{token}", {"host": host}, timeout=5.0)
        if answer.status == 200 and answer.body == f"{token}.{self.thumbprint}".encode():
            return ""
        return f"HAProxy does not answer challenges for {name} yet (status {answer.status})."

    def proofs(self, order: Order) -> Proofs:
        """Raises AuthorityFault if the settings do not say how to prove by DNS-01."""
        return NoRecords() if order.challenge == HTTP_01 else self.by_dns()

    def by_dns(self) -> Proofs:
        if self.settings.dns_hook:
            try:
                return Hook(self.settings.dns_hook)
            except ValueError as error:
                words = f"GUARDPANEL_DNS_HOOK is not a command: {error}."
                raise AuthorityFault(Fault(FaultKind.PROOF, words)) from error
        if self.settings.dns_server:
            return DnsUpdates(_server(self.settings), self.servers_of)
        raise AuthorityFault(Fault(FaultKind.PROOF, NO_DNS))


def _server(settings: Settings) -> DnsServer:
    host, _, port = settings.dns_server.rpartition(":")
    if not host or not port.isdigit():
        host, port = settings.dns_server, str(DNS_PORT)
    key = None
    if settings.dns_key_file:
        try:
            key = read_key(Path(settings.dns_key_file).read_text())
        except (OSError, ValueError) as error:
            raise AuthorityFault(Fault(FaultKind.PROOF, f"The DNS key file can’t be read: {error}.")) from error
    return DnsServer(host.removeprefix("[").removesuffix("]"), int(port), key)
