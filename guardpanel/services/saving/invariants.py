"""Rules across rows: what a single virtual host, policy or setting cannot know about itself. Pure: rows in, violations out.

Every save is checked once before it commits, whoever makes it: a form, a program, an undo, a restore, a backup. All rows are
examined, but only violations that involve the change are reported: an older one (HAProxy listens elsewhere now, or the WAF agent
was replaced) does not prevent other saves. SQLite enforces none of these rules except that policies exist: it would reject a row
without a useful message.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from guardpanel.field_codes import FieldCode
from guardpanel.models import NOUNS
from guardpanel.models.noun import Key, Noun
from guardpanel.models.policies.enforcement import OverLimit
from guardpanel.models.policies.policy import KIB
from guardpanel.models.policies.policy_geo import GeoMode
from guardpanel.models.types import display_name, in_circles, is_ourselves
from guardpanel.rendering.bound_paths import fold
from guardpanel.rendering.capacity import by_files
from guardpanel.services.saving.delivery_rules import (
    countries_in_headers_are_known,
    header_rules_leave_room,
    header_rules_leave_what_is_set_elsewhere,
    logins_are_unique,
    somebody_can_log_in,
)
from guardpanel.services.saving.https_rules import (
    addresses_get_a_certificate,
    chosen_certificates_cover_a_hostname,
    client_certificates_are_checked,
    http3_can_be_served,
    https_can_be_served,
    strict_names_leave_no_default,
)
from guardpanel.services.saving.limit_rules import delays_have_lua, limits_have_few_periods
from guardpanel.services.saving.proposal import Proposal, Row, Violation
from guardpanel.services.saving.redirect_rules import redirects_end


def violations(proposal: Proposal) -> list[Violation]:
    """What the change breaks, in the order of the rules."""
    return [violation for rule in RULES for violation in rule(proposal)]


def names_are_free(proposal: Proposal) -> Iterator[Violation]:
    """Ignoring case."""
    for noun in NOUNS.values():
        owners: dict[str, int] = {}
        for row in proposal.rows[noun.table_name] if noun.has_own_names else ():
            owner = owners.setdefault(row["name"].lower(), row["id"])
            if owner != row["id"]:
                words = f"A{noun.with_article[1:]} named {{}} already exists."
                keys = (noun.key, row["id"]), (noun.key, owner)
                yield from proposal.between(*keys, "name", words, code=FieldCode.TAKEN)


def hostnames_have_one_owner(proposal: Proposal) -> Iterator[Violation]:
    owners: dict[str, int] = {}
    for row in proposal.rows["hostname"]:
        number, name = row["virtual_host_id"], row["name"]
        owner = owners.setdefault(name, number)
        if owner != number:
            keys = ("virtual_host", number), ("virtual_host", owner)
            words = f"{display_name(name)} is already used by {{}}."
            named = {display_name(name): f"A virtual host for {display_name(name)} already exists."}
            yield from proposal.between(*keys, "hostnames", words, code=FieldCode.TAKEN, named=named)


def one_row_has_it(proposal: Proposal) -> Iterator[Violation]:
    """Flags that only one row can have."""
    for noun, field in (("virtual_host", "answers_unknown"), ("error_page", "is_default")):
        first, *others = [row["id"] for row in proposal.rows[NOUNS[noun].table_name] if row[field]] or [0]
        for number in others:
            words = "{} has this already. Turn it off there first."
            yield from proposal.between((noun, number), (noun, first), field, words, code=FieldCode.TAKEN)


def what_is_named_exists(proposal: Proposal) -> Iterator[Violation]:
    """A virtual host's policy must exist, and a policy in use must not be deleted."""
    for noun in NOUNS.values():
        rows = proposal.rows[noun.table_name]
        for field, key in noun.references.items() if rows else ():
            there = {None, *(row["id"] for row in proposal.rows[NOUNS[key].table_name])}
            lost = defaultdict(list)
            for row in rows:
                named = row[field]
                for number in named if isinstance(named, list) else (named,):
                    if number not in there:
                        lost[number].append(row)
            for number, users in lost.items():
                yield from _without(proposal, (key, number), noun.key, field, users)


def _without(proposal: Proposal, gone: Key, noun: str, field: str, users: Sequence[Row]) -> Iterator[Violation]:
    word = NOUNS[gone[0]].word
    if gone in proposal.touched:
        name, them = proposal.name(gone, proposal.before), "it" if len(users) == 1 else "them"
        used = f"{name} is used by {_some([_placed(proposal, NOUNS[noun], row) for row in users])}."
        yield Violation(*gone, name, "", f"{used} Assign {them} another {NOUNS[gone[0]].in_sentence} first.")
    else:
        for row in users:
            yield from proposal.at(
                (noun, row["id"]), field, f"{word} not found. It may have been deleted.", code=FieldCode.NOT_FOUND
            )


def _placed(proposal: Proposal, noun: Noun, row: Row) -> str:
    """`/login of shop.example` for a row that belongs to another."""
    if not noun.parent:
        return noun.name(row)
    return f"{noun.name(row)} of {proposal.name((noun.parent, row[noun.within]))}"


def rules_are_overridden_once(proposal: Proposal) -> Iterator[Violation]:
    owners: dict[tuple[int, str], int] = {}
    for row in proposal.rows["ruleoverride"]:
        owner = owners.setdefault((row["policy_id"], row["rule"]), row["id"])
        if owner != row["id"]:
            keys = ("rule_override", row["id"]), ("rule_override", owner)
            words = f"This policy has an override of {row['rule']} already."
            yield from proposal.between(*keys, "rule", words, code=FieldCode.TAKEN)


def custom_rules_have_own_ids(proposal: Proposal) -> Iterator[Violation]:
    owners: dict[tuple[int, int], int] = {}
    for row in proposal.rows["customrule"]:
        owner = owners.setdefault((row["policy_id"], row["rule_id"]), row["id"])
        if owner != row["id"]:
            keys, words = (("custom_rule", row["id"]), ("custom_rule", owner)), f"{row['rule_id']} is {{}} already."
            yield from proposal.between(*keys, "rule_id", words, code=FieldCode.TAKEN)


def requests_are_read_in_one_way(proposal: Proposal) -> Iterator[Violation]:
    """Of two body readings for the same requests, one would do nothing."""
    owners: dict[tuple[Any, ...], int] = {}
    for row in proposal.rows["bodyreading"]:
        lists = frozenset(row["methods"]), frozenset(row["content_types"])
        requests = (row["policy_id"], row["path_match"], row["path"], *lists)
        owner = owners.setdefault(requests, row["id"])
        if owner != row["id"]:
            keys = ("body_reading", row["id"]), ("body_reading", owner)
            yield from proposal.between(*keys, "path", "{} is for the same requests.", code=FieldCode.TAKEN)


def paths_are_bound_once(proposal: Proposal) -> Iterator[Violation]:
    """However their letters are spelled."""
    owners: dict[tuple[int, str, str], int] = {}
    for row in proposal.rows["pathbinding"]:
        owner = owners.setdefault((row["virtual_host_id"], row["path_match"], fold(row["path"])), row["id"])
        if owner != row["id"]:
            keys = ("path_binding", row["id"]), ("path_binding", owner)
            yield from proposal.between(*keys, "path", "{} is bound already.", code=FieldCode.TAKEN)


def no_server_is_haproxy(proposal: Proposal) -> Iterator[Violation]:
    binds = (*proposal.facts.http_binds, *proposal.facts.https_binds)
    ports = tuple(f":{port}" for _, port in binds)
    for row in proposal.rows["server"]:
        address = row["address"]
        if address.endswith(ports) and is_ourselves(address, binds):
            field = f"servers.{row['position']}.address"
            yield from proposal.at(("virtual_host", row["virtual_host_id"]), field, in_circles(address))
    for row in proposal.rows["pathbinding"]:
        for at, line in enumerate(row["own_servers"]):
            url = line.partition(" ")[0]
            if url.endswith(ports) and is_ourselves(url.partition("://")[2], binds):
                yield from proposal.at(("path_binding", row["id"]), f"own_servers.{at}", in_circles(url))


def bodies_fit_the_agent(proposal: Proposal) -> Iterator[Violation]:
    facts, largest = proposal.facts, proposal.facts.largest_body // KIB
    for row in proposal.rows["policy"]:
        key = "policy", row["id"]
        if row["body_limit_kib"] > largest:
            words = f"coraza-spoa inspects bodies up to {largest} KiB."
            yield from proposal.at(key, "body_limit_kib", f"{words} Enter {largest} or less.")
        if facts.small_frames and row["over_limit"] == OverLimit.INSPECT_BEGINNING:
            words = "coraza-spoa can’t inspect the beginning of a body."
            yield from proposal.at(key, "over_limit", f"{words} Choose another option.")


def connections_have_files(proposal: Proposal) -> Iterator[Violation]:
    most = by_files(proposal.facts)
    files = f"HAProxy may open {proposal.facts.open_files:,} files (ulimit -n), and a connection uses 4."
    for row in proposal.rows["traffic"]:
        if row["max_connections"] > most:
            yield from proposal.at(("traffic", row["id"]), "max_connections", f"At most {most:,} here: {files}")


def where_visitors_come_from_is_known(proposal: Proposal) -> Iterator[Violation]:
    """Without data, HAProxy would take all visitors for unknown ones."""
    known = {"country_mode": proposal.facts.has_countries, "asn_mode": proposal.facts.has_networks}
    for row in proposal.rows["policy"]:
        for field, is_known in known.items():
            if not is_known and row[field] != GeoMode.OFF:
                words = "guardpanel has no data for this. Upload it under Access › Countries, or choose Off."
                yield from proposal.at(("policy", row["id"]), field, words)


RULES = (
    http3_can_be_served,
    https_can_be_served,
    addresses_get_a_certificate,
    chosen_certificates_cover_a_hostname,
    client_certificates_are_checked,
    strict_names_leave_no_default,
    names_are_free,
    hostnames_have_one_owner,
    one_row_has_it,
    what_is_named_exists,
    rules_are_overridden_once,
    requests_are_read_in_one_way,
    paths_are_bound_once,
    redirects_end,
    custom_rules_have_own_ids,
    no_server_is_haproxy,
    bodies_fit_the_agent,
    connections_have_files,
    limits_have_few_periods,
    delays_have_lua,
    where_visitors_come_from_is_known,
    header_rules_leave_room,
    header_rules_leave_what_is_set_elsewhere,
    countries_in_headers_are_known,
    logins_are_unique,
    somebody_can_log_in,
)


def _some(names: list[str]) -> str:
    """`a.example, b.example and 12 more`"""
    few = ", ".join(sorted(names, key=str.lower)[:5])
    return f"{few} and {len(names) - 5} more" if len(names) > 5 else few
