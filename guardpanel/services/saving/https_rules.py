"""Rules across rows about HTTPS (`invariants.py` has the others)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial

from guardpanel.certificates.names import covers
from guardpanel.engines.haproxy.haproxy import NO_TLS
from guardpanel.models.certificates.certificate import is_address
from guardpanel.services.saving.proposal import Proposal, Violation


def https_can_be_served(proposal: Proposal) -> Iterator[Violation]:
    if not proposal.facts.has_tls:
        words = f"{NO_TLS} Install another one, and set GUARDPANEL_HAPROXY_BIN."
    elif not proposal.facts.https_binds:
        words = "HAProxy has no HTTPS listener. Set GUARDPANEL_HTTPS_BIND."
    else:
        return
    for row in proposal.rows["virtualhost"]:
        if row["https"]:
            yield from proposal.at(("virtual_host", row["id"]), "https", words)


def http3_can_be_served(proposal: Proposal) -> Iterator[Violation]:
    if proposal.facts.no_http3:
        for row in proposal.rows["traffic"]:
            if row["http3"]:
                yield from proposal.at(("traffic", row["id"]), "http3", f"{proposal.facts.no_http3} Leave this off.")


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


def chosen_certificates_cover_a_hostname(proposal: Proposal) -> Iterator[Violation]:
    """By what they are for, also if another one with these names is still to be issued. Uploaded ones: by what they consist of.
    Others would never be served."""
    chosen = [row for row in proposal.rows["virtualhost"] if row["certificate_id"] is not None]
    if not chosen:
        return
    present = {each.certificate_id: {*each.names} for each in proposal.facts.certificates.all}
    names = {row["id"]: {*row["names"]} or present.get(row["id"], set()) for row in proposal.rows["certificate"]}
    hostnames = defaultdict(list)
    for row in proposal.rows["hostname"]:
        hostnames[row["virtual_host_id"]].append(row["name"])
    for row in chosen:
        host, certificate = ("virtual_host", row["id"]), ("certificate", row["certificate_id"])
        known = names.get(row["certificate_id"])
        if not known or any(covers(known, name) for name in hostnames[row["id"]]):
            continue
        if host in proposal.touched:
            words = f"It covers {in_few_words(known)}, and none of the hostnames. Choose another one, or automatic."
            yield from proposal.at(host, "certificate_id", words)
        else:
            todo = "Cover one of its hostnames, or assign it another one first."
            words = f"{proposal.name(host)} has chosen this certificate. {todo}"
            yield from proposal.at(certificate, "names", words)


def client_certificates_are_checked(proposal: Proposal) -> Iterator[Violation]:
    """What the handshake could not ask for, or HAProxy not check, would leave the virtual host open or closed to everyone."""
    asking = {row["id"]: row for row in proposal.rows["virtualhost"] if row["client_certificates"] != "off"}
    for number, row in asking.items():
        at = partial(proposal.at, ("virtual_host", number))
        if not row["https"]:
            yield from at("client_certificates", "Visitors present certificates over HTTPS only. Turn on HTTPS, too.")
        if row["client_ca_id"] is None:
            yield from at("client_ca_id", "Choose the client CA whose certificates are accepted.")
        if row["client_certificate_headers"] and proposal.facts.small_frames:
            yield from at("client_certificate_headers", "With coraza-spoa, there is no room for them. Turn this off.")
    for row in proposal.rows["hostname"] if asking else ():
        if row["virtual_host_id"] in asking and is_address(row["name"]):
            words = (
                f"Clients send no TLS name for {row['name']}, so no certificate can be asked of them there. Remove it."
            )
            yield from proposal.at(("virtual_host", row["virtual_host_id"]), "hostnames", words)


def in_few_words(names: Iterable[str]) -> str:
    """`a.example, b.example and 12 more`"""
    few = sorted(names)
    more = f" and {len(few) - 3} more" if len(few) > 3 else ""
    return f"{', '.join(few[:3])}{more}"


def strict_names_leave_no_default(proposal: Proposal) -> Iterator[Violation]:
    for row in proposal.rows["traffic"]:
        if row["strict_sni"] and row["default_certificate_id"] is not None:
            words = "It would never be served: handshakes without a known name are refused. Choose automatic, or allow them."
            yield from proposal.at(("traffic", row["id"]), "default_certificate_id", words)
