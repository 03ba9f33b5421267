"""How visitors reach a virtual host over TLS."""

from guardpanel.models.meta import Choice, described
from guardpanel.models.references import OptionalId
from guardpanel.models.types import Fields, stored

TWO_YEARS = 63_072_000


class TlsProfile(Choice):
    """Mozilla's server side TLS configurations, version 5.7 (ssl-config.mozilla.org)."""

    INTERMEDIATE = (
        "intermediate",
        "Intermediate: TLS 1.2 and 1.3",
        "For every browser and client of the last ten years.",
    )
    MODERN = "modern", "Modern: TLS 1.3 only", "For browsers since 2019. Older clients and some programs can’t connect."


class ClientCertificates(Choice):
    """Whether visitors present a certificate in the TLS handshake."""

    OFF = "off", "Off", "Visitors are not asked for one."
    OPTIONAL = "optional", "Optional", "Visitors can present one. One that is not valid ends the connection."
    REQUIRED = (
        "required",
        "Required",
        "Visitors without a valid one can’t connect. HTTP is redirected to HTTPS, and gets 403 where it can’t be.",
    )


class HttpsColumns(Fields):
    """The fields that form, JSON and table share."""

    https: bool = described(
        "HTTPS", False, hint="Serves its hostnames also on the HTTPS listener, over HTTP/1.1 and HTTP/2."
    )
    certificate_id: OptionalId = described(
        "Certificate",
        None,
        unset="automatic",
        hint="Automatic: for each hostname the best valid certificate. One of your choice is served for the hostnames that it "
        "covers while it is valid. The others are automatic.",
    )
    https_redirect: bool = described(
        "Redirect to HTTPS",
        False,
        hint="Requests over HTTP get 308 to the same address over HTTPS. ACME challenges are not redirected.",
    )
    hsts_seconds: int = described(
        "HSTS",
        0,
        ge=0,
        le=TWO_YEARS,
        unit="s",
        zero="off",
        hint="Sent over HTTPS. For that long, browsers refuse HTTP and invalid certificates here, even after HTTPS is off. "
        "Start with 300. 0 sends none.",
    )
    tls_profile: TlsProfile = described("TLS profile", TlsProfile.INTERMEDIATE, sa_type=stored(TlsProfile))
    client_certificates: ClientCertificates = described(
        "Client certificates", ClientCertificates.OFF, sa_type=stored(ClientCertificates)
    )
    client_ca_id: OptionalId = described("Client CA", None, unset="none")
    client_certificate_headers: bool = described(
        "Pass the client certificate to servers",
        False,
        hint="In Client-Cert (RFC 9440), X-SSL-Client-Subject, and X-SSL-Client-Fingerprint (SHA-256). Visitors can’t set these.",
    )
