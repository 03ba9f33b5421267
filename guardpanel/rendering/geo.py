"""Where visitors come from (docs/access.md): which virtual hosts ask, and what their policies name.

The data is in maps outside the releases, by absolute path: HAProxy's check of a release takes longer with them, so no
configuration has them that does not ask.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.policy_geo import GeoMode
from guardpanel.rendering.facts import EngineFacts
from guardpanel.rendering.header_rules import ask_for_country
from guardpanel.rendering.policy import PolicyState
from guardpanel.rendering.state import DesiredState

GEO_MAP = "geo.map"
"Of virtual hosts and paths that ask: `17 5;refuse;reject;off`, the policy, what becomes of it, countries, networks."

RULES_MAP = "geo_rules.map"
"What policies name: `5:country:DE 1`, `5:network:AS64500 1`."

COUNTRIES, NETWORKS = "country.map", "asn.map"
"Files in `geo_dir`: `192.0.2.0/24 DE`, `192.0.2.0/24 AS64500`."


def parameters(state: DesiredState) -> dict[str, Any]:
    """What the templates of this step need."""
    policies = _asking(state)
    return {
        "by_country": any(policy.country_mode is not GeoMode.OFF for policy in policies),
        "by_network": any(policy.asn_mode is not GeoMode.OFF for policy in policies),
        "countries_map": countries_map(state.facts),
        "networks_map": f"{state.facts.geo_dir}/{NETWORKS}",
    }


def countries_map(facts: EngineFacts) -> str:
    return f"{facts.geo_dir}/{COUNTRIES}"


def files(state: DesiredState) -> dict[str, str]:
    """Part of the configuration."""
    policies = _asking(state)
    if not policies:
        return {}
    return {GEO_MAP: "".join(_hosts(state)), RULES_MAP: "".join(line for policy in policies for line in _rules(policy))}


def outside(state: DesiredState) -> tuple[str, ...]:
    """Files that HAProxy needs and no release has."""
    needs = parameters(state)
    needs_countries = needs["by_country"] or ask_for_country(chain.from_iterable(state.applied_headers))
    needed = {needs["countries_map"]: needs_countries, needs["networks_map"]: needs["by_network"]}
    return tuple(path for path, is_needed in needed.items() if is_needed)


def _hosts(state: DesiredState) -> Iterator[str]:
    for place, host, _ in state.bound:
        policy, mode = state.effective(host)
        if policy is not None and _asks(policy) and mode is not EnforcementMode.OFF:
            then = "refuse" if mode is EnforcementMode.BLOCK else "watch"
            yield f"{place} {policy.id};{then};{policy.country_mode.value};{policy.asn_mode.value}\n"


def _rules(policy: PolicyState) -> Iterator[str]:
    lists = ("country", policy.country_mode, policy.countries), ("network", policy.asn_mode, policy.asns)
    for kind, mode, named in lists:
        if mode is not GeoMode.OFF:
            yield from (f"{policy.id}:{kind}:{name} 1\n" for name in sorted(named))


def _asking(state: DesiredState) -> list[PolicyState]:
    """Policies in effect, by id."""
    if not any(_asks(policy) for policy in state.policies.values()):
        return []
    policies = {policy for policy, _ in state.in_effect if _asks(policy)}
    return sorted(policies, key=lambda policy: policy.id)


def _asks(policy: PolicyState) -> bool:
    return policy.country_mode is not GeoMode.OFF or policy.asn_mode is not GeoMode.OFF
