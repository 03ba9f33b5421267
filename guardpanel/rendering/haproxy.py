"""HAProxy's files: haproxy.cfg, its maps, the SPOE file, error pages and certificate authorities."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from guardpanel.bundle import NamedServer, Origin
from guardpanel.models.policies.policy import KIB
from guardpanel.models.traffic import MOST_HOPS, ClientIpSource
from guardpanel.rendering import (
    access,
    acme,
    client_certificates,
    error_pages,
    geo,
    header_rules,
    https,
    limits,
    maps,
    paths,
    strikes,
    trailers,
    waiting,
)
from guardpanel.rendering.access_log import access_log
from guardpanel.rendering.backends import inspects_responses
from guardpanel.rendering.capacity import LARGE_BODY, LARGE_BUFFER, RESERVE, capacity
from guardpanel.rendering.coraza import Effective
from guardpanel.rendering.facts import LARGEST_ADDRESS, LARGEST_HEADERS
from guardpanel.rendering.forged import ANY_FORGED, FORGED, any_spelling
from guardpanel.rendering.state import DesiredState
from guardpanel.rendering.templates import template
from guardpanel.rendering.tokens import Token, split_origins
from guardpanel.rendering.traffic import TrafficState
from guardpanel.rendering.virtual_host import ServerState
from guardpanel.shipped import lua_file

BUFFER_ROOM = LARGEST_HEADERS + LARGEST_ADDRESS + 8 * KIB
"Bytes besides the body in a buffer or SPOP frame: headers, URL, HAProxy's metadata and its rewrite reserve."

SMALLEST_BUFFER = 64 * KIB

REWRITE = KIB
"Bytes of the buffer for headers that are added."

SMALL_FRAMES_HEADERS, SMALL_FRAMES_ADDRESS = 8 * KIB, 4 * KIB
"With coraza-spoa, instead of LARGEST_HEADERS and LARGEST_ADDRESS: together with the largest body and 4 KiB they are 64 KiB."

MOST_FIELDS = 126
"""Blocks before those that can hold trailers in HAProxy's internal representation (HTX): a start line and 101 headers
(`tune.http.maxhdr`), the ends of both, and the body's blocks."""

BACKENDS = "\x03"
"Placeholder for all backends in haproxy.cfg.j2's text."

Origins = dict[int, Origin]
"""By 1-based line."""


class Room(NamedTuple):
    """Bytes."""

    headers: int
    address: int
    buffer: int
    rewrite: int
    "Of the buffer, for headers that are added."


def room(state: DesiredState) -> Room:
    """What a request may take, and HAProxy's buffer, which becomes one frame for the agent."""
    more = header_rules.room(state.applied_headers)
    if state.facts.small_frames:
        return Room(SMALL_FRAMES_HEADERS, SMALL_FRAMES_ADDRESS, SMALLEST_BUFFER + more, REWRITE + more)
    more += client_certificates.room(state)
    buffer = max(SMALLEST_BUFFER, state.body_limit + BUFFER_ROOM) + more
    return Room(LARGEST_HEADERS, LARGEST_ADDRESS, buffer, REWRITE + more)


class Frame(NamedTuple):
    """What is before and after the backends in haproxy.cfg."""

    before: str
    after: str
    origins: Origins
    "Of its lines without the backends."


def frame(state: DesiredState, mark: str) -> Frame:
    """With the placeholder for the checksum."""
    space = room(state)
    text, origins = split_origins(
        template("haproxy/haproxy.cfg.j2").render(
            facts=state.facts,
            mark=mark,
            short_mark=mark[:12],
            traffic=state.traffic,
            hops=hops(state.traffic),
            forged=FORGED,
            any_forged=ANY_FORGED,
            named=any_spelling(state.traffic.client_ip_header),
            **https.parameters(state),
            **client_certificates.parameters(state),
            **access.parameters(state),
            **limits.parameters(state),
            **paths.parameters(state),
            **strikes.parameters(state),
            **geo.parameters(state),
            **space._asdict(),
            splices=space.buffer > LARGE_BUFFER,
            large_buffer=LARGE_BUFFER,
            capacity=capacity(state, space.buffer),
            reserve=RESERVE,
            large_body=LARGE_BODY,
            large_policies=waiting.policies_over(state, LARGE_BODY),
            access_log=access_log(mark),
            skips=any(policy.skip_paths for policy in state.policies.values()),
            skips_dotted=maps.has_dotted_skips(state),
            responses=inspects_responses(state),
            compresses=any(bound.host.compression for bound in state.bound),
            **streaming(state),
            upgrades=any(host.upgrades for host in state.virtual_hosts),
            acme=bool(state.proven_names),
            default_host=state.default_host,
            health_map=maps.HEALTH_MAP,
            watches_trailers=trailers.watched(state),
            loads_lua=trailers.watched(state) or limits.delays(state),
            lua_file=f"{state.facts.lua_folder}/{lua_file()}",
            needs_lengths=trailers.need_a_length(state),
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
    before, after = text.split(BACKENDS + "\n")
    return Frame(before, after, origins)


def streaming(state: DesiredState) -> dict[str, bool | Token]:
    """Whether bodies are streamed, and the condition of rules that wait for them, or look at them."""
    is_used = any(host.streaming for host in state.virtual_hosts)
    return {"streaming": is_used, "unless_streamed": Token(" !streamed" if is_used else "")}


def files(state: DesiredState, names: Mapping[Effective, str]) -> dict[str, str]:
    """All files but haproxy.cfg, by path."""
    rendered = {
        "coraza.cfg": template("haproxy/coraza.cfg.j2").render(responses=inspects_responses(state)),
        "hosts.map": maps.hosts(state, wildcard=False),
        "wildcards.map": maps.hosts(state, wildcard=True),
        "vhosts.map": maps.bindings(state, names),
        "patience.map": waiting.patience_map(state),
    }
    if state.traffic.trusted_networks:
        rendered["trusted.map"] = maps.networks(state.traffic.trusted_networks)
    if state.traffic.health_path:
        rendered[maps.HEALTH_MAP] = maps.networks(state.traffic.health_networks)
    for listener in https.proxied(state):
        rendered[f"proxies_{listener.name}.map"] = maps.networks(listener.proxy_networks)
    if any(policy.skip_paths for policy in state.policies.values()):
        rendered["skip_endings.map"] = maps.skips(state, endings=True)
        rendered["skip_paths.map"] = maps.skips(state, endings=False)
    if switches := maps.upgrades(state):
        rendered["upgrades.map"] = switches
    if state.proven_names:
        rendered[acme.HOSTS_MAP] = acme.hosts_map(state.proven_names, state.facts)
    rendered |= (
        https.files(state)
        | access.files(state)
        | geo.files(state)
        | paths.files(state)
        | strikes.files(state)
        | client_certificates.files(state)
        | error_pages.files(state.error_pages, chosen_pages(state), by_path=paths.have_pages(state))
    )
    for host in state.virtual_hosts:
        if host.tls_verify == "ca":
            rendered[f"ca/{host.id}.pem"] = host.tls_ca
    return rendered


def chosen_pages(state: DesiredState) -> dict[str, int]:
    """By what requests are bound to. Of paths alone if one has pages of its own."""
    bound = state.bound if paths.have_pages(state) else state.bound[: len(state.virtual_hosts)]
    return {each.key: each.host.error_page_id for each in bound if each.host.error_page_id is not None}


def hops(traffic: TrafficState) -> Sequence[int]:
    """Which elements of X-Forwarded-For count, from the right: each only if the one after it is a trusted proxy."""
    if traffic.client_ip_source is not ClientIpSource.X_FORWARDED_FOR:
        return ()
    return (traffic.forwarded_hops,) if traffic.forwarded_hops else range(1, MOST_HOPS + 1)


def named_servers(state: DesiredState) -> tuple[NamedServer, ...]:
    """Servers given by name that must resolve when their virtual host is saved."""
    return tuple(
        NamedServer(Origin(noun, number, field), server.endpoint.host, server.endpoint.port)
        for noun, number, server, field in _servers(state)
        if server.endpoint.is_name and server.enabled and not server.resolve_later
    )


def _servers(state: DesiredState) -> Iterator[tuple[str, int, ServerState, str]]:
    """Each with the noun and the field that it is of."""
    for host in state.virtual_hosts:
        for server in host.servers:
            yield "virtual_host", host.id, server, f"servers.{server.position}.address"
    for path in state.paths:
        for server in path.servers if path.has_section else ():
            yield "path_binding", path.id, server, f"own_servers.{server.position}"
