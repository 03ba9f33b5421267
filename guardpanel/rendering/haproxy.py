"""HAProxy's files: haproxy.cfg, its maps, the SPOE file, error pages and certificate authorities."""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from guardpanel.bundle import NamedServer, Origin
from guardpanel.models.policy import KIB, EnforcementMode
from guardpanel.models.traffic import MOST_HOPS, ClientIpSource
from guardpanel.rendering import waiting
from guardpanel.rendering.capacity import LARGE_BODY, LARGE_BUFFER, RESERVE, capacity
from guardpanel.rendering.coraza import Effective
from guardpanel.rendering.forged import ANY_FORGED, FORGED, any_spelling
from guardpanel.rendering.state import (
    LARGEST_ADDRESS,
    LARGEST_HEADERS,
    DesiredState,
    PolicyState,
    TrafficState,
    VirtualHostState,
)
from guardpanel.rendering.templates import folder, template
from guardpanel.rendering.tokens import Token, split_origins

BUFFER_ROOM = LARGEST_HEADERS + LARGEST_ADDRESS + 8 * KIB
"Beside the body in one buffer or SPOP frame: headers, address, HAProxy's own notes and the share it keeps for rewriting."

SMALLEST_BUFFER = 64 * KIB

SMALL_FRAMES_HEADERS, SMALL_FRAMES_ADDRESS = 8 * KIB, 4 * KIB
"With a coraza-spoa, in place of LARGEST_HEADERS and LARGEST_ADDRESS: with the largest body and 4 KiB they are 64 KiB."

MOST_FIELDS = 126
"""Blocks before which HAProxy's representation of a message (HTX) can have its trailers: a start line and 101 headers
(`tune.http.maxhdr`), the ends of both, and what a body is divided into.
"""

BACKENDS = "\x03"
"Stands in haproxy.cfg.j2's text for all backends until they are put there."

OFF = "off"
"In place of a virtual host's id in the maps of hostnames: 421. Without an entry a wildcard would take the name."

NOT_INSPECTED = "-"
"In place of an application: the WAF is not asked."

Origins = dict[int, Origin]
"""By 1-based line."""

CHECKSUM = "\x04"
"Stands in ACCESS_LOG for the checksum of the configuration that decided."

ACCESS_LOG = (
    "{"
    + ",".join(
        f'"{name}":{value}'
        for name, value in {
            "time": "%Ts.%ms",
            "id": '"%ID"',
            "client": '"%ci"',
            "client_port": "%cp",
            "peer": '"%[var(txn.gp.peer)]"',
            "scheme": '"%[var(txn.gp.scheme)]"',
            "forwarded": '"%[var(txn.gp.forwarded),json(utf8s)]"',
            "proxied": '"%[var(txn.gp.proxied)]"',
            "host": '"%[var(txn.gp.host),bytes(0,255),json(utf8s)]"',
            "virtual_host": '"%[var(txn.gp.vhost)]"',
            "method": '"%HM"',
            "path": '"%[capture.req.uri,json(utf8s)]"',
            "status": "%ST",
            "bytes": "%B",
            "milliseconds": "%Ta",
            "server": '"%s"',
            "server_milliseconds": "%Tr",
            "ended": '"%tsc"',
            "verdict": '"%[var(txn.gp.verdict)]"',
            "application": '"%[var(txn.gp.app)]"',
            "policy": '"%[var(txn.gp.policy)]"',
            "checksum": f'"{CHECKSUM}"',
            "partial": '"%[var(txn.gp.partly)]"',
            "over_limit": '"%[var(txn.gp.over_limit)]"',
            "fail": '"%[var(txn.gp.fail)]"',
            "action": '"%[var(txn.coraza.action)]"',
            "rule": '"%[var(txn.coraza.ruleid)]"',
            "score": '"%[var(txn.coraza.anomaly_score)]"',
            "rules": '"%[var(txn.coraza.rule_ids)]"',
            "waf_error": '"%[var(txn.coraza.error)]"',
            "waf_milliseconds": '"%[var(txn.coraza.ptime)]"',
            "panel": '"%[var(txn.gp.quiet)]"',
        }.items()
    )
    + "}"
)
"One JSON object per request: the ingest's source for HAProxy's own verdicts (ingest/proxy_line.py)."


class Room(NamedTuple):
    """Bytes."""

    headers: int
    address: int
    buffer: int


def room(state: DesiredState) -> Room:
    """What a request may take, and HAProxy's buffer, from which it makes one frame for the agent."""
    if state.facts.small_frames:
        return Room(SMALL_FRAMES_HEADERS, SMALL_FRAMES_ADDRESS, SMALLEST_BUFFER)
    return Room(LARGEST_HEADERS, LARGEST_ADDRESS, max(SMALLEST_BUFFER, state.body_limit + BUFFER_ROOM))


class Held(NamedTuple):
    """How responses wait to be inspected."""

    seconds: int
    "At most."
    length: int
    "Bytes of a body that are enough."


def held(state: DesiredState, host: VirtualHostState) -> Held | None:
    """None where nobody looks at responses, or this HAProxy cannot."""
    policy, mode = state.effective(host)
    if (
        policy is None
        or mode is EnforcementMode.OFF
        or not policy.response_inspection
        or not state.facts.holds_responses
    ):
        return None
    return Held(policy.response_seconds, min(policy.body_limit, state.facts.largest_body))


def configuration(state: DesiredState, mark: str) -> tuple[str, Origins]:
    """haproxy.cfg with the checksum's mark in its places."""
    space = room(state)
    frame, origins = split_origins(
        template("haproxy/haproxy.cfg.j2").render(
            facts=state.facts,
            mark=mark,
            short_mark=mark[:12],
            traffic=state.traffic,
            hops=hops(state.traffic),
            forged=FORGED,
            any_forged=ANY_FORGED,
            named=any_spelling(state.traffic.client_ip_header),
            **space._asdict(),
            splices=space.buffer > LARGE_BUFFER,
            capacity=capacity(state, space.buffer),
            reserve=RESERVE,
            large_body=LARGE_BODY,
            large_policies=waiting.policies_over(state, LARGE_BODY),
            access_log=ACCESS_LOG.replace(CHECKSUM, mark),
            skips=any(policy.skip_paths for policy in state.policies.values()),
            responses=inspects_responses(state),
            trailer_blocks=range(2, 2 + MOST_FIELDS),
            passes=waiting.PASSES,
            waits=waiting.waits(state),
            passing_limits=waiting.passing_limits(state),
            passing_seconds=waiting.passing_seconds(state),
            held_seconds=waiting.held_seconds(state),
            response_limits=waiting.response_limits(state),
            backends=Token(BACKENDS),
        )
    )
    before, after = frame.split(BACKENDS + "\n")
    texts, line = [before], before.count("\n")
    for host in state.virtual_hosts:
        text, lines, own = backend(host, state.facts.system_ca, bool(state.facts.server_states), held(state, host))
        texts.append(text)
        for at, origin in own:
            origins[line + at] = origin
        line += lines
    return "".join((*texts, after)), origins


@lru_cache(maxsize=20_000)
def backend(
    host: VirtualHostState, system_ca: str, told_addresses: bool, held: Held | None
) -> tuple[str, int, tuple[tuple[int, Origin], ...]]:
    """One virtual host's backend: its text, how many lines that is, and where they come from.

    Kept, since a save changes one virtual host and renders all. `told_addresses`: the panel looks names up, so that HAProxy
    depends on no DNS, neither to start nor to go on; else it asks libc first and DNS from then on.
    """
    text, origins = split_origins(
        template("haproxy/_backend.cfg.j2").render(
            host=host,
            told_addresses=told_addresses,
            check_host=host.health_check_host or host.first_exact_hostname,
            tls_names=[
                host.tls_name or (server.endpoint.host if server.endpoint.is_name else host.first_exact_hostname)
                for server in host.servers
            ],
            ca_file=f"ca/{host.id}.pem" if host.tls_verify == "ca" else system_ca,
            held=held,
        )
    )
    return text, text.count("\n"), tuple(origins.items())


def files(state: DesiredState, names: Mapping[Effective, str]) -> dict[str, str]:
    """Everything beside haproxy.cfg, by path."""
    rendered = {
        "coraza.cfg": template("haproxy/coraza.cfg.j2").render(responses=inspects_responses(state)),
        "hosts.map": hosts(state, wildcard=False),
        "wildcards.map": hosts(state, wildcard=True),
        "vhosts.map": bindings(state, names),
        "patience.map": waiting.patience_map(state),
    }
    if state.traffic.trusted_networks:
        rendered["trusted.map"] = networks(state.traffic.trusted_networks)
    for listener in state.traffic.listeners:
        if listener.takes_proxy_protocol:
            rendered[f"proxies_{listener.name}.map"] = networks(listener.proxy_networks)
    if any(policy.skip_paths for policy in state.policies.values()):
        rendered["skip_endings.map"] = skips(state, endings=True)
        rendered["skip_paths.map"] = skips(state, endings=False)
    rendered |= error_pages()
    for host in state.virtual_hosts:
        if host.tls_verify == "ca":
            rendered[f"ca/{host.id}.pem"] = host.tls_ca
    return rendered


@cache
def error_pages() -> dict[str, str]:
    """By path; they come with the program."""
    pages = sorted((folder() / "haproxy" / "errors").glob("*.html"))
    return {f"errors/{page.name}": page.read_text("utf-8") for page in pages}


def hosts(state: DesiredState, *, wildcard: bool) -> str:
    """`shop.example 17`, `old.example off`; for wildcards the parent alone: `*.shop.example` is `shop.example 17`."""
    pairs = [(name, str(host.id)) for host in state.virtual_hosts for name in host.hostnames]
    pairs += [(name, OFF) for name in state.names_off]
    return "".join(
        f"{name.removeprefix('*.')} {value}\n" for name, value in sorted(pairs) if name.startswith("*.") is wildcard
    )


def networks(found: Sequence[str]) -> str:
    """`10.0.0.0/8 1`"""
    return "".join(f"{network} 1\n" for network in sorted(found))


def hops(traffic: TrafficState) -> Sequence[int]:
    """Which elements of X-Forwarded-For are looked at, counted from the right, each only if the one before is a trusted
    proxy's address."""
    if traffic.client_ip_source is not ClientIpSource.X_FORWARDED_FOR:
        return ()
    return (traffic.forwarded_hops,) if traffic.forwarded_hops else range(1, MOST_HOPS + 1)


def bindings(state: DesiredState, names: Mapping[Effective, str]) -> str:
    """What `_frontend.cfg.j2` reads field by field; all values are ours. Few policies, many virtual hosts."""
    known: dict[tuple[int | None, EnforcementMode | None], str] = {}
    lines = []
    for host in state.virtual_hosts:
        key = host.policy_id, host.enforcement_mode
        if key not in known:
            known[key] = binding(*state.effective(host), names, state)
        lines.append(f"{host.id} be_{host.id};{known[key]};{int(host.maintenance)}\n")
    return "".join(lines)


def binding(
    policy: PolicyState | None, mode: EnforcementMode, names: Mapping[Effective, str], state: DesiredState
) -> str:
    """What every virtual host with this policy in this mode has in common."""
    if policy is None or mode is EnforcementMode.OFF:
        return f"{NOT_INSPECTED};0;pass;open;0;0;{waiting.PASSES}"
    return ";".join(
        (
            names[policy.id, mode],
            str(policy.id),
            waiting.over_word(policy, mode, state),
            "open" if policy.fails_open(mode) else "closed",
            str(min(policy.body_limit, state.facts.largest_body)),
            str(policy.streamed_responses) if policy.response_inspection else "0",
            waiting.slow(policy, mode, state.facts.largest_body),
        )
    )


def skips(state: DesiredState, *, endings: bool) -> str:
    """`3:.css 1` and `3:/assets/ 1`: keys start with the policy's id."""
    return "".join(
        f"{policy.id}:{entry} 1\n"
        for policy in state.policies.values()
        for entry in sorted(policy.skip_paths)
        if entry.startswith(".") is endings
    )


def inspects_responses(state: DesiredState) -> bool:
    return any(policy.response_inspection for policy in state.policies.values())


def named_servers(state: DesiredState) -> tuple[NamedServer, ...]:
    """Servers given by name that must resolve when their virtual host is saved."""
    return tuple(
        NamedServer(host.id, server.position, server.endpoint.host, server.endpoint.port)
        for host in state.virtual_hosts
        for server in host.servers
        if server.endpoint.is_name and server.enabled and not server.resolve_later
    )
