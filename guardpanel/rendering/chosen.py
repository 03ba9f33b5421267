"""Which certificate each hostname with HTTPS gets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from guardpanel.certificates.choosing import Choice
from guardpanel.certificates.served import ServedCertificate, ServedCertificates
from guardpanel.rendering.virtual_host import VirtualHostState


@dataclass(frozen=True)
class Chosen:
    """None: the default one."""

    by_name: Mapping[str, ServedCertificate | None]
    unnamed: ServedCertificate | None
    "Of handshakes with an unknown name, or none."

    @classmethod
    def between(
        cls, certificates: ServedCertificates, hosts: Iterable[VirtualHostState], unnamed_id: int | None
    ) -> "Chosen":
        choice = Choice(certificates.all, certificates.at)
        by_name = {name: choice.of(name, host.certificate_id) for host in hosts for name in host.hostnames}
        return cls(by_name, choice.without_a_name(by_name, unnamed_id))
