"""Rules across rows about what a virtual host does with requests and responses (`invariants.py` has the others)."""

import re
from collections import defaultdict
from collections.abc import Iterator

from guardpanel.engines.haproxy.haproxy import NO_TLS
from guardpanel.field_codes import FieldCode
from guardpanel.models.header_rule import LARGEST_RULES, MOST_RULES, Direction
from guardpanel.models.traffic import ClientIpSource
from guardpanel.rendering.forged import any_spelling
from guardpanel.rendering.header_rules import HeaderRuleState, ask_for_country, size
from guardpanel.services.saving.proposal import Proposal, Violation

HSTS = "strict-transport-security"


def header_rules_leave_room(proposal: Proposal) -> Iterator[Violation]:
    """In HAProxy's list of headers, and in its buffer. A path's rules are applied after its virtual host's."""
    hosts: dict[int, list[HeaderRuleState]] = defaultdict(list)
    paths = [(row["virtual_host_id"], HeaderRuleState.of_path(row)) for row in proposal.rows["pathbinding"]]
    for row in proposal.rows["headerrule"]:
        hosts[row["virtual_host_id"]].append(HeaderRuleState.from_row(row))
    for rules in (*hosts.values(), *([*hosts[host_id], *own] for host_id, own in paths if own)):
        words = ""
        if len(rules) > MOST_RULES:
            words = (
                f"A virtual host can have {MOST_RULES} header rules, with those of a path. Delete another one first."
            )
        elif size(rules) > LARGEST_RULES:
            words = f"With this, its header rules would add more than {LARGEST_RULES:,} bytes. Shorten the values."
        for rule in rules if words else ():
            yield from proposal.at((rule.noun, rule.id), f"{rule.place}value", words)


def _all_rules(proposal: Proposal) -> Iterator[tuple[int, HeaderRuleState]]:
    """Each with its virtual host."""
    for row in proposal.rows["headerrule"]:
        yield row["virtual_host_id"], HeaderRuleState.from_row(row)
    for row in proposal.rows["pathbinding"]:
        yield from ((row["virtual_host_id"], rule) for rule in HeaderRuleState.of_path(row))


def header_rules_leave_what_is_set_elsewhere(proposal: Proposal) -> Iterator[Violation]:
    """The header with which servers are told who the client is, and HSTS."""
    with_hsts = {row["id"] for row in proposal.rows["virtualhost"] if row["https"] and row["hsts_seconds"]}
    (traffic,) = proposal.rows["traffic"][:1] or [{"client_ip_source": "", "client_ip_header": ""}]
    is_told = traffic["client_ip_source"] == ClientIpSource.HEADER
    client = any_spelling(traffic["client_ip_header"].lower())
    for host_id, rule in _all_rules(proposal):
        key, field, name = (rule.noun, rule.id), f"{rule.place}header", rule.header.lower()
        if is_told and rule.direction is Direction.REQUEST and re.fullmatch(client, name):
            words = f"Servers are told the client’s address in {rule.header} (Traffic)."
            yield from proposal.at(key, field, words)
            yield from proposal.at(("traffic", traffic["id"]), "client_ip_header", f"A header rule is for {name}.")
        if rule.direction is Direction.RESPONSE and name == HSTS and host_id in with_hsts:
            yield from proposal.at(key, field, "The virtual host’s HSTS sets it. Set that to 0 first.")
            host, words = ("virtual_host", host_id), "A header rule sets HSTS. Enter 0, or delete the rule."
            yield from proposal.at(host, "hsts_seconds", words)


def logins_are_unique(proposal: Proposal) -> Iterator[Violation]:
    owners: dict[tuple[int, str], int] = {}
    for row in proposal.rows["sitelogin"]:
        owner = owners.setdefault((row["virtual_host_id"], row["name"]), row["id"])
        if owner != row["id"]:
            yield from proposal.between(
                ("site_login", row["id"]), ("site_login", owner), "name", "There is {} already.", code=FieldCode.TAKEN
            )


def somebody_can_log_in(proposal: Proposal) -> Iterator[Violation]:
    """Without a login nobody could, and without OpenSSL HAProxy cannot compare passwords."""
    hosts = {row["virtual_host_id"] for row in proposal.rows["sitelogin"]}
    asking = [("virtual_host", row["id"], row["id"]) for row in proposal.rows["virtualhost"] if row["requires_login"]]
    asking += [
        ("path_binding", row["id"], row["virtual_host_id"])
        for row in proposal.rows["pathbinding"]
        if row["requires_login"]
    ]
    for noun, number, host in asking:
        if not proposal.facts.has_tls:
            yield from proposal.at(
                (noun, number), "requires_login", f"{NO_TLS} Passwords can’t be compared without it."
            )
        elif host not in hosts:
            words = "Add a login to the virtual host first: without any, no visitor could log in."
            yield from proposal.at((noun, number), "requires_login", words)


def countries_in_headers_are_known(proposal: Proposal) -> Iterator[Violation]:
    for _, rule in _all_rules(proposal) if not proposal.facts.has_countries else ():
        if ask_for_country([rule]):
            words = "guardpanel has no data for {country}. Upload it under Access › Countries, or remove it."
            yield from proposal.at((rule.noun, rule.id), f"{rule.place}value", words)
