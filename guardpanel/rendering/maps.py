"""HAProxy's maps: hostname → virtual host → what it is bound to."""

from collections.abc import Mapping, Sequence

from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.rendering import limits, strikes, waiting
from guardpanel.rendering.coraza import Effective, effective
from guardpanel.rendering.state import DesiredState

OFF = "off"
"Replaces a virtual host's id in the maps of hostnames: 421. Without an entry a wildcard would match."

HEALTH_MAP = "health_sources.map"
"Networks of load balancers that ask how HAProxy is."

NOT_INSPECTED = "-"
"Replaces an application: the WAF is not asked."


def hosts(state: DesiredState, *, wildcard: bool) -> str:
    """`shop.example 17`, `old.example off`. Wildcards are listed by parent: `*.shop.example` is `shop.example 17`."""
    pairs = [(name, str(host.id)) for host in state.virtual_hosts for name in host.hostnames]
    pairs += [(name, OFF) for name in state.names_off]
    return "".join(
        f"{name.removeprefix('*.')} {value}\n" for name, value in sorted(pairs) if name.startswith("*.") is wildcard
    )


def networks(entries: Sequence[str]) -> str:
    """`10.0.0.0/8 1`"""
    return "".join(f"{network} 1\n" for network in sorted(entries))


def upgrades(state: DesiredState) -> str:
    """`17:spdy/3.1 SPDY/3.1`: what a virtual host's visitors may switch to, and how servers are asked for it."""
    return "".join(
        f"{host.id}:{token.lower()} {token}\n" for host in state.virtual_hosts for token in sorted(host.upgrades)
    )


def bindings(state: DesiredState, names: Mapping[Effective, str]) -> str:
    """The fields that `_frontend.cfg.j2` reads. All values are ours. There are few policies and many virtual hosts."""
    known: dict[Effective | None, str] = {}
    lines = []
    for place, host, section in state.bound:
        key = effective(state, host)
        if key not in known:
            known[key] = binding(key, names, state)
        streamed = ";1" if host.streaming else ""
        lines.append(f"{place} {section};{known[key]};{int(host.maintenance)}{streamed}\n")
    return "".join(lines)


def binding(key: Effective | None, names: Mapping[Effective, str], state: DesiredState) -> str:
    """The fields that are equal for all virtual hosts with this policy and mode."""
    if key is None or key[1] is EnforcementMode.OFF:
        return f"{NOT_INSPECTED};0;pass;open;0;0;{waiting.PASSES};{limits.NONE};0"
    policy, mode = state.policies[key[0]], key[1]
    return ";".join(
        (
            names[key],
            str(policy.id),
            waiting.over_word(policy, mode, state),
            "open" if policy.fails_open(mode) else "closed",
            str(min(policy.body_limit, state.facts.largest_body)),
            str(policy.streamed_responses) if policy.response_inspection else "0",
            waiting.slow(policy, mode, state.facts.largest_body),
            limits.limits(policy, mode),
            str(int(strikes.counts(policy, mode))),
        )
    )


def is_dotted(entry: str) -> bool:
    """Whether a segment of a skipped path begins with a dot: `/.well-known/`."""
    return "/." in entry


def has_dotted_skips(state: DesiredState) -> bool:
    return any(is_dotted(entry) for policy in state.policies.values() for entry in policy.skip_paths)


def skips(state: DesiredState, *, endings: bool) -> str:
    """`3:.css 1`, `3:/assets/ 1` and `3:/.well-known/ dotted`: keys start with the policy's id."""
    return "".join(
        f"{policy.id}:{entry} {'dotted' if is_dotted(entry) else '1'}\n"
        for policy in state.policies.values()
        for entry in sorted(policy.skip_paths)
        if entry.startswith(".") is endings
    )
