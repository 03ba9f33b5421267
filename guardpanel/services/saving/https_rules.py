"""Rules across rows about HTTPS (`invariants.py` has the others)."""

from collections.abc import Iterator

from guardpanel.models.certificate import is_address
from guardpanel.services.saving.proposal import Proposal, Violation


def https_can_be_served(proposal: Proposal) -> Iterator[Violation]:
    if not proposal.facts.has_tls:
        words = "This HAProxy was built without TLS (OpenSSL). Install another one, and set GUARDPANEL_HAPROXY_BIN."
    elif not proposal.facts.https_binds:
        words = "HAProxy has no HTTPS listener. Set GUARDPANEL_HTTPS_BIND."
    else:
        return
    for row in proposal.rows["virtualhost"]:
        if row["https"]:
            yield from proposal.at(("virtual_host", row["id"]), "https", words)


def addresses_get_a_certificate(proposal: Proposal) -> Iterator[Violation]:
    """Clients name no IP address in a handshake (RFC 6066 §3)."""
    strict = [("traffic", row["id"]) for row in proposal.rows["traffic"] if row["strict_sni"]]
    https = {row["id"] for row in proposal.rows["virtualhost"] if row["https"] and row["enabled"]}
    for row in proposal.rows["hostname"] if strict else ():
        if row["virtual_host_id"] in https and is_address(row["name"]):
            why = f"Clients send no TLS name for {row['name']}, and"
            words = f"{why} Traffic refuses them (Refuse unknown TLS names). Turn that off, or serve it without HTTPS."
            yield from proposal.at(("virtual_host", row["virtual_host_id"]), "hostnames", words)
            yield from proposal.at(strict[0], "strict_sni", f"{why} it is served over HTTPS. Leave this off.")
