"""Plain rows, as the database holds them, from what an operator would type."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from guardpanel.access import parsing
from guardpanel.access.entries import Entries
from guardpanel.engines.tls import default_certificate
from guardpanel.models import NOUNS
from guardpanel.models.access.address_list import AddressListFields
from guardpanel.models.certificates.certificate import CertificateFields
from guardpanel.models.certificates.client_ca import ClientCaFields
from guardpanel.models.error_page import ErrorPageFields
from guardpanel.models.header_rule import HeaderRuleFields
from guardpanel.models.path_binding import PathBindingFields
from guardpanel.models.policies.body_reading import BodyReadingFields
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.rules.custom_rule import CustomRuleFields
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from guardpanel.models.rules.rule_override import RuleOverrideFields
from guardpanel.models.traffic import TrafficFields
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.rendering import EngineFacts, Rows
from guardpanel.rendering.login_maps import digest

SECRET = "s3cret" * 6

FACTS = EngineFacts(
    http_binds=(("127.0.0.1", 8080),),
    probe_socket="/run/guardpanel/probe.sock",
    agent_socket="/run/guardpanel/agent.sock",
    system_ca="/etc/ssl/certs/ca-certificates.crt",
    secret=SECRET,
    holds_responses=True,
    https_binds=(("127.0.0.1", 8443),),
    default_certificate=default_certificate.made(datetime(2026, 1, 1, tzinfo=UTC)),
)


def rows(
    policies: dict[str, dict[str, Any]],
    hosts: dict[str, dict[str, Any]],
    traffic: dict[str, Any] | None = None,
    exclusions: Iterable[dict[str, Any]] = (),
    overrides: Iterable[dict[str, Any]] = (),
    custom_rules: Iterable[dict[str, Any]] = (),
    readings: Iterable[dict[str, Any]] = (),
    paths: Iterable[dict[str, Any]] = (),
    certificates: Iterable[dict[str, Any]] = (),
    client_cas: Iterable[dict[str, Any]] = (),
    address_lists: Iterable[dict[str, Any]] = (),
    header_rules: Iterable[dict[str, Any]] = (),
    error_pages: Iterable[dict[str, Any]] = (),
    logins: Iterable[dict[str, Any]] = (),
) -> Rows:
    """Policies by name and virtual hosts by hostname (several divided by spaces); ids count from 1.

    A host, an exclusion, an override and a custom rule name their policy: `{"policy": "Strict", "servers": [{"address": "127.0.0.1:80"}]}`.
    """
    made: dict[str, list[dict[str, Any]]] = {table.name: [] for noun in NOUNS.values() for table in noun.tables}
    made["traffic"] = [{"id": 1, **TrafficFields.model_validate(traffic or {}).model_dump(mode="json")}]
    ids = {name: at for at, name in enumerate(policies, 1)}
    for name, fields in policies.items():
        made["policy"].append({"id": ids[name], **PolicyFields.model_validate({"name": name, **fields}).model_dump()})
    for host_id, (names, fields) in enumerate(hosts.items(), 1):
        given = {key: value for key, value in fields.items() if key != "policy"}
        policy_id = ids[fields["policy"]] if "policy" in fields else None
        host = VirtualHostFields.model_validate({"hostnames": names.split(), "policy_id": policy_id, **given})
        made["virtualhost"].append({"id": host_id, **host.model_dump(exclude={"hostnames", "servers"})})
        for position, name in enumerate(host.hostnames):
            made["hostname"].append({"virtual_host_id": host_id, "name": name, "position": position})
        for position, server in enumerate(host.servers):
            made["server"].append({"virtual_host_id": host_id, "position": position, **server.model_dump()})
    made["ruleexclusion"] = [
        {
            "id": at,
            "policy_id": ids[exclusion["policy"]],
            **RuleExclusionFields.model_validate(exclusion).model_dump(mode="json"),
        }
        for at, exclusion in enumerate(exclusions, 1)
    ]
    made["ruleoverride"] = [
        {"id": at, "policy_id": ids[override["policy"]], "level": 0, "points": 0, "is_outbound": False, **override,
         **RuleOverrideFields.model_validate(override).model_dump(mode="json")}
        for at, override in enumerate(overrides, 1)
    ]  # fmt: skip
    made["customrule"] = [
        {"id": at, "policy_id": ids[rule["policy"]], **CustomRuleFields.model_validate(rule).model_dump(mode="json")}
        for at, rule in enumerate(custom_rules, 1)
    ]
    made["bodyreading"] = [
        {
            "id": at,
            "policy_id": ids[reading["policy"]],
            **BodyReadingFields.model_validate(reading).model_dump(mode="json"),
        }
        for at, reading in enumerate(readings, 1)
    ]
    made["pathbinding"] = [
        {"id": at, "virtual_host_id": bound.get("virtual_host_id", 1), **_path(bound, ids)}
        for at, bound in enumerate(paths, 1)
    ]
    made["headerrule"] = [
        {
            "id": at,
            "virtual_host_id": rule.get("virtual_host_id", 1),
            **HeaderRuleFields.model_validate(rule).model_dump(exclude={"virtual_host_id"}),
        }
        for at, rule in enumerate(header_rules, 1)
    ]
    made["certificate"] = [
        {"id": at, **CertificateFields.model_validate(certificate).model_dump(mode="json")}
        for at, certificate in enumerate(certificates, 1)
    ]
    made["clientca"] = [
        {"id": at, **ClientCaFields.model_validate(client_ca).model_dump(mode="json")}
        for at, client_ca in enumerate(client_cas, 1)
    ]
    made["sitelogin"] = [
        {
            "id": at,
            "virtual_host_id": 1,
            "notes": "",
            **login,
            "sealed": digest(SECRET, login["name"], login["password"]),
        }
        for at, login in enumerate(logins, 1)
    ]
    made["errorpage"] = [
        {"id": at, **ErrorPageFields.model_validate({"name": str(at), **pages}).model_dump(mode="json")}
        for at, pages in enumerate(error_pages, 1)
    ]
    made["addresslist"] = []
    for at, listed in enumerate(address_lists, 1):
        fields = {name: value for name, value in listed.items() if name != "entries"}
        content = the_entries(listed).reference.text
        columns = AddressListFields.model_validate({"content": content, **fields}).model_dump(mode="json")
        made["addresslist"].append({"id": at, **columns})
    return made


def digests_of(given: Rows) -> dict[str, str]:
    """For `EngineFacts.login_digests`: here, hashes are not sealed."""
    return {row["sealed"]: row["sealed"] for row in given.get("sitelogin", ())}


def _path(bound: dict[str, Any], ids: dict[str, int]) -> dict[str, Any]:
    """Of virtual host 1 unless it says another."""
    typed = {name: value for name, value in bound.items() if name not in {"policy", "virtual_host_id"}}
    policy_id = ids[bound["policy"]] if "policy" in bound else None
    fields = PathBindingFields.model_validate({"policy_id": policy_id, **typed})
    return {**fields.model_dump(), "name": fields.name}


def the_entries(listed: dict[str, Any]) -> Entries:
    """Of a list, as it is typed."""
    return parsing.parsed("\n".join(listed.get("entries", ())), is_deny=listed.get("kind", "deny") == "deny")


def maps_of(address_lists: Iterable[dict[str, Any]]) -> dict[str, bytes]:
    """For `EngineFacts.list_maps`."""
    entries = [the_entries(row) for row in address_lists]
    return {entry.reference.digest: entry.map for entry in entries}
