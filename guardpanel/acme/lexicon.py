"""DNS-01 by one of dns-lexicon's providers: some 90 services whose API adds records."""

import importlib.util
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from guardpanel.acme.dns_updates import DnsServer, ServersOf, missing_record, name_servers
from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind
from guardpanel.acme.hook import Hook
from guardpanel.acme.lexicon_hook import MISSING, ZoneOf, zone_of
from guardpanel.acme.order import Record
from guardpanel.later import Later

if TYPE_CHECKING:
    import dns.exception
else:
    dns = Later("dns")


class Lexicon:
    """`file` has the provider's options, and may be empty: see `guardpanel.acme.lexicon_hook`."""

    def __init__(
        self, provider: str, file: str, zone_of: ZoneOf = zone_of, servers_of: ServersOf = name_servers
    ) -> None:
        self.provider, self.file = provider, file
        self._zone_of, self._servers_of = zone_of, servers_of

    def add(self, records: Sequence[Record]) -> None:
        for record in records:
            self._hook(record).add([record])

    def remove(self, records: Sequence[Record]) -> None:
        for record in records:
            self._hook(record).remove([record])

    def lagging(self, records: Sequence[Record]) -> str:
        for record in records:
            zone = self._zone(record)
            servers = self._servers_of(DnsServer(""), zone)
            if not any(host for host, _ in servers):
                return f"The name servers of {zone} can’t be looked up."
            if missing := missing_record(servers, [record]):
                return missing
        return ""

    def _hook(self, record: Record) -> Hook:
        command = (sys.executable, "-m", "guardpanel.acme.lexicon_hook", self.provider, self.file, self._zone(record))
        return Hook(command, f"The DNS provider {self.provider}")

    def _zone(self, record: Record) -> str:
        try:
            return self._zone_of(record.name)
        except dns.exception.DNSException as error:
            words = f"The zone of {record.name} can’t be looked up."
            raise AuthorityFault(Fault(FaultKind.PROOF, words)) from error


def is_installed() -> bool:
    return importlib.util.find_spec("lexicon") is not None


def problem_with(provider: str) -> str:
    """Why it can't be used, as a sentence. Empty: it can."""
    if not is_installed():
        return MISSING
    if importlib.util.find_spec(f"lexicon._private.providers.{provider}") is not None:
        return ""
    return f"dns-lexicon has no provider {provider}. It has, for example, cloudflare, gandi, ovh and route53."
