"""Which certificate each hostname with HTTPS gets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from guardpanel.certificates.choosing import Choice
from guardpanel.certificates.served import ServedCertificate, ServedCertificates
from guardpanel.kept import KeptLast
from guardpanel.rendering.virtual_host import VirtualHostState

Asking = Sequence[tuple[tuple[str, ...], int | None]]
"Of each virtual host, its hostnames, and the certificate that is chosen for it."


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
        asking = [(host.hostnames, host.certificate_id) for host in hosts]
        valid = [certificate.is_valid(certificates.at) for certificate in certificates.all]
        return KEPT.get(
            (certificates.all, valid, asking, unnamed_id), lambda: cls._between(certificates, asking, unnamed_id)
        )

    @classmethod
    def _between(cls, certificates: ServedCertificates, asking: Asking, unnamed_id: int | None) -> "Chosen":
        choice = Choice(certificates.all, certificates.at)
        by_name = {name: choice.of(name, chosen_id) for hostnames, chosen_id in asking for name in hostnames}
        return cls(by_name, choice.without_a_name(by_name, unnamed_id))


KEPT = KeptLast[Chosen]()
"A choice depends on nothing else: few saves change one, and there may be a thousand. The moment only says what is valid."
