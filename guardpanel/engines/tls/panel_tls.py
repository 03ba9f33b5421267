"""The panel's own TLS. Each handshake gets the certificate of that moment, so that one is exchanged while connections are open.

The context that listens stays as it was made: a `load_cert_chain` that fails would break it for all handshakes. It hands each
handshake another context instead, which was complete before.
"""

import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from guardpanel.certificates.choosing import WARNED_DAYS, best_for, is_usable
from guardpanel.certificates.names import day
from guardpanel.certificates.served import NO_CERTIFICATES, ServedCertificates
from guardpanel.engines.proxy_lines import local
from guardpanel.engines.tls import handshakes, panel_certificate
from guardpanel.engines.tls.panel_certificate import PanelCertificate
from guardpanel.errors import EngineUnavailable, Problem
from guardpanel.listen_addresses import host_and_port
from guardpanel.settings import Settings

CONTEXTS = 32
"Of certificates of the panel's store, kept for further handshakes."


class PanelTls:
    """`own`: what a handshake gets unless a certificate of the store covers its name. With files in the settings, always."""

    def __init__(self, settings: Settings, own: PanelCertificate) -> None:
        """Raises Problem if OpenSSL does not take it."""
        self.settings = settings
        self.own = own
        self.problem = ""
        "What is wrong with the files. The certificate from before is served."
        self.stored: Callable[[], ServedCertificates] = lambda: NO_CERTIFICATES
        self._was_asked = False
        self._host = host_and_port(settings.listen)[0]
        self._own_context = _usable(self.own.pem)
        self._context_of = lru_cache(CONTEXTS)(new_context)

    def listening(self) -> ssl.SSLContext:
        context = new_context(self.own.pem)
        context.sni_callback = self._choose
        return context

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """Called without a name, too. Must not raise: that ends the handshake."""
        self._was_asked = True
        try:
            connection.context = self._context_of(pem) if (pem := self._covering(name)) else self._own_context
        except (ssl.SSLError, OSError):
            connection.context = self._own_context  # OpenSSL refuses some that HAProxy takes, such as short keys.

    def _covering(self, name: str | None) -> bytes:
        """A valid certificate of the store, as PEM. Empty if there is none. A revoked one is worse than a self-signed one:
        browsers that ask for revocations let nobody accept it."""
        if self.settings.listen_certificate_file:
            return b""
        now = datetime.now(UTC)
        usable = (candidate for candidate in self.stored().all if is_usable(candidate, now))
        best = best_for((name or self._host).lower().rstrip("."), usable, now)
        return best.pem if best else b""

    def _refusal(self, stored: bytes) -> str:
        """Why OpenSSL does not take the store's certificate. Empty if it does, and without one."""
        try:
            if stored:
                self._context_of(stored)
        except (ssl.SSLError, OSError) as error:
            return (
                f"The panel serves its self-signed certificate: the one under Certificates for {self._host} can’t be used for "
                f"the panel ({_words(error)}). Its key or signature may be too weak."
            )
        return ""

    def refresh(self, now: datetime) -> None:
        """Read the files again, or renew the self-signed certificate. What can't be used changes nothing."""
        try:
            certificate = panel_certificate.read(self.settings, now)
            if certificate.pem != self.own.pem:
                self._own_context = _usable(certificate.pem)
                self.own = certificate
            self.problem = self.expiry(now)
        except Problem as problem:
            self.problem = problem.message

    def expiry(self, now: datetime) -> str:
        """Of the operator's file, from a week before. The self-signed one is renewed. Empty otherwise."""
        path, days = self.settings.listen_certificate_file, (self.own.not_after - now).days
        if not path or days >= WARNED_DAYS[1]:
            return ""
        state = f"expires on {day(self.own.not_after)}" if self.own.not_after > now else "has expired"
        return f"The panel’s certificate {state}. Replace {path}."

    async def served_problem(self) -> str:
        """Whether a new connection gets the certificate that it should. Empty if it does, and before the server listens."""
        place = local(self._host), host_and_port(self.settings.listen)[1]
        refusal = self._refusal(stored := self._covering(None))
        expected = handshakes.first_of(self.own.pem if refusal or not stored else stored)
        try:
            served = await handshakes.leaf(place, "")
        except EngineUnavailable:
            return f"The panel does not answer over TLS on {self.settings.listen}." if self._was_asked else ""
        if served == expected:
            return refusal
        return f"Another certificate than the panel’s is served on {self.settings.listen}: another process may listen there."


def _words(error: ssl.SSLError | OSError) -> str:
    return str(getattr(error, "reason", None) or error)


def new_context(pem: bytes) -> ssl.SSLContext:
    """For TLS 1.2 and 1.3, with this certificate and key. Raises ssl.SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python takes a path only. This file is in memory, and of this process alone.
    descriptor = os.memfd_create("panel-certificate", os.MFD_CLOEXEC)
    with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 a descriptor
        file.write(pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    return context


def _usable(pem: bytes) -> ssl.SSLContext:
    try:
        return new_context(pem)
    except ssl.SSLError as error:
        raise Problem(f"The panel can’t use its certificate: {_words(error)}.") from error
