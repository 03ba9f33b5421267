"""The backends of haproxy.cfg: each virtual host's servers, and what they are asked and answer."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from guardpanel.bundle import Origin
from guardpanel.models.delivery import security_headers
from guardpanel.models.delivery.delivery import DeliveryColumns
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.rendering import geo, logins, servers
from guardpanel.rendering.header_rules import HeaderRuleState
from guardpanel.rendering.logins import LoginState
from guardpanel.rendering.server_paths import server_path
from guardpanel.rendering.state import DesiredState, PathState, section_of
from guardpanel.rendering.templates import template
from guardpanel.rendering.tokens import Token, origin_mark, split_origins
from guardpanel.rendering.virtual_host import VirtualHostState
from guardpanel.sealing import sticky_key


class Common(NamedTuple):
    """What all backends have in common."""

    system_ca: str
    told_addresses: bool
    """The panel resolves names, so that HAProxy depends on DNS neither to start nor to run. Otherwise HAProxy asks libc first and
    DNS from then on."""
    countries_map: str
    sticky_key: str
    "For the values of sticky cookies, which are therefore the same over reloads and restarts, and tell nobody an address."
    moves_servers: bool


def common_to_all(state: DesiredState) -> Common:
    facts = state.facts
    key = sticky_key(facts.secret)
    return Common(facts.system_ca, bool(facts.server_states), geo.countries_map(facts), key, facts.moves_servers)


def inspects_responses(state: DesiredState) -> bool:
    return any(policy.response_inspection for policy in state.policies.values())


class ResponseHold(NamedTuple):
    """How long responses are held for inspection."""

    seconds: int
    "At most."
    length: int
    "Bytes of a body that suffice."


def holds(state: DesiredState) -> dict[str, ResponseHold]:
    """By section, where responses are held. One serves all paths without one of their own: the longest hold of their policies."""
    longest: dict[str, ResponseHold] = {}
    for _, host, section in state.bound:
        if hold := held(state, host):
            before = longest.get(section, hold)
            longest[section] = ResponseHold(*map(max, before, hold))
    return longest


def held(state: DesiredState, host: VirtualHostState) -> ResponseHold | None:
    """None if responses are not inspected, or if this HAProxy cannot hold them."""
    policy, mode = state.effective(host)
    if (
        policy is None
        or mode is EnforcementMode.OFF
        or not policy.response_inspection
        or not state.facts.holds_responses
    ):
        return None
    return ResponseHold(policy.response_seconds, min(policy.body_limit, state.facts.largest_body))


DEFAULTS = DeliveryColumns.model_fields
"What the defaults section says."


def own_timeouts(host: VirtualHostState) -> list[tuple[str, int, str]]:
    """HAProxy's name, seconds and field of those that differ from the defaults."""
    seconds = {
        "connect": host.connect_timeout,
        "queue": host.queue_timeout,
        "server": host.server_timeout,
        "tunnel": host.tunnel_timeout,
    }
    named = ((name, value, f"{name}_timeout") for name, value in seconds.items())
    return [timeout for timeout in named if timeout[1] != DEFAULTS[timeout[2]].default]


class Section(NamedTuple):
    """Of HAProxy's configuration: what handles the requests of a virtual host, or of a path with delivery of its own."""

    name: str
    host: VirtualHostState
    "With the path's delivery."
    path: PathState | None
    held: ResponseHold | None
    header_rules: tuple[HeaderRuleState, ...]
    login: LoginState | None

    @property
    def has_own_servers(self) -> bool:
        return self.path is not None and bool(self.path.servers)

    @property
    def checks(self) -> bool:
        """Whether it checks its servers. A path's that are the virtual host's are as up as they are there."""
        return self.host.health_check and (self.path is None or self.has_own_servers)

    def line_of(self, field: str) -> Token:
        """Marks the line with whose field it is."""
        of_path = {*(name for name, _ in self.path.differences), "name"} if self.path else set()
        if self.path and (field in of_path or field.startswith("own_servers")):
            return origin_mark("path_binding", self.path.id, field.replace("name", "path"))
        return origin_mark("virtual_host", self.host.id, field)


class Shared(NamedTuple):
    """What the sections of a state have of it besides their virtual host."""

    common: Common
    held: Mapping[str, ResponseHold]
    logins: Mapping[int, LoginState]

    @classmethod
    def of(cls, state: DesiredState) -> "Shared":
        return cls(common_to_all(state), holds(state), logins.of_hosts(state))


def sections(own: VirtualHostState, state: DesiredState, shared: Shared) -> list[Section]:
    """Of a virtual host and its paths."""
    paths = [(bound.section, bound.host, path) for path, bound in state.paths_with_sections.get(own.id, ())]
    return [
        Section(name, host, path, shared.held.get(name), state.headers_of(host.id, path), shared.logins.get(host.id))
        for name, host, path in ((section_of(own.id), own, None), *paths)
    ]


class Backend(NamedTuple):
    """A section's text."""

    text: str
    lines: int
    origins: Sequence[tuple[int, Origin]]
    fixed: str
    "Without what HAProxy takes of its servers at run time, and what that is (`servers.without`)."
    weights: str


@lru_cache(maxsize=20_000)
def backend(section: Section, common: Common) -> Backend:
    """Cached, since a save changes one virtual host and renders all."""
    host = section.host
    text, origins = split_origins(
        template("haproxy/_backend.cfg.j2").render(
            section=section.name,
            host=host,
            checks=section.checks,
            has_own_servers=section.has_own_servers,
            line_of=section.line_of,
            always=Token("TRUE"),
            server_path=server_path(host, section.path),
            told_addresses=common.told_addresses,
            check_host=host.health_check_host or host.server_host or host.first_exact_hostname,
            timeouts=own_timeouts(host),
            retries=host.retries if host.retries != DEFAULTS["retries"].default else None,
            tls_names=[
                host.tls_name or (server.endpoint.host if server.endpoint.is_name else host.first_exact_hostname)
                for server in host.servers
            ],
            ca_file=f"ca/{host.id}.pem" if host.tls_verify == "ca" else common.system_ca,
            held=section.held,
            header_rules=section.header_rules,
            login=section.login,
            countries_map=common.countries_map,
            sticky_key=common.sticky_key,
            recommended=security_headers.RECOMMENDED,
            frames=security_headers.FRAMES,
            frames_of_old_browsers=security_headers.FRAMES_OF_OLD_BROWSERS,
        )
    )
    fixed, weights = servers.without(text, moves=common.moves_servers)
    return Backend(text, text.count("\n"), tuple(origins.items()), fixed, weights)
