"""Everything that config templates can see: the database's rows as frozen values. Built from plain rows (a mapping per row), so
that a revision's snapshot renders exactly like the tables from which it was taken."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Self

from guardpanel.models.delivery import path_delivery
from guardpanel.models.delivery.redirect import Redirect
from guardpanel.models.path_binding import BoundPath, PathBindingColumns
from guardpanel.models.policies.enforcement import EnforcementMode, at_path, effective_mode
from guardpanel.rendering import acme, error_pages, header_rules, login_maps
from guardpanel.rendering.address_list import AddressListState
from guardpanel.rendering.chosen import Chosen
from guardpanel.rendering.enabled_hosts import EnabledHosts
from guardpanel.rendering.error_pages import ErrorPageState
from guardpanel.rendering.facts import EngineFacts
from guardpanel.rendering.header_rules import HeaderRuleState
from guardpanel.rendering.policy import PolicyState
from guardpanel.rendering.rows import ColumnReader, ReadRows, Row, Rows
from guardpanel.rendering.traffic import TrafficState
from guardpanel.rendering.tuning import UNTUNED, Tuning
from guardpanel.rendering.virtual_host import ServerState, VirtualHostState


class ClientCaState(NamedTuple):
    """The texts of a client CA: PEM."""

    id: int
    certificates: str
    revocation_lists: str


OF_PATH, ENABLED, POLICIES = ColumnReader(PathBindingColumns), EnabledHosts(), ReadRows(PolicyState.from_row)


def section_of(key: int | str) -> str:
    return f"be_{key}"


class PathState(NamedTuple):
    """A path with a policy, a mode or delivery of its own."""

    id: int
    virtual_host_id: int
    path: str
    path_match: BoundPath
    policy_id: int | None
    enforcement_mode: EnforcementMode | None
    requires_login: bool
    redirect: Redirect
    redirect_to: str
    redirect_rest: bool
    servers: tuple[ServerState, ...]
    differences: tuple[tuple[str, Any], ...]
    "The virtual host's fields that are others here."
    own_headers: tuple[HeaderRuleState, ...]
    has_section: bool
    "Whether HAProxy handles its requests in a section of their own."

    @classmethod
    def from_row(cls, row: Row) -> "PathState":
        values = {"id": row["id"], "virtual_host_id": row["virtual_host_id"], **OF_PATH.by_name(row)}
        servers = tuple(ServerState.of_path(at, url) for at, url in enumerate(values["own_servers"]))
        values |= {"servers": servers, "differences": tuple(path_delivery.differences(values).items())}
        needs_section = path_delivery.needs_section({**values, "own_headers": row["own_headers"]})
        values["has_section"] = needs_section and values["redirect"] is Redirect.NO
        values["own_headers"] = HeaderRuleState.of_path(row)
        return cls(**{name: values[name] for name in cls._fields})


class BoundHost(NamedTuple):
    """What requests get: a virtual host with its own policy and mode or, for path binding 4 of host 17 (`17.4`), with the
    path's."""

    key: str
    host: VirtualHostState
    section: str
    "HAProxy's, that handles them: `be_17`, or `be_17.4`."


@dataclass(frozen=True)
class DesiredState:
    """What the database says should run. Of disabled virtual hosts, only the hostnames."""

    facts: EngineFacts
    policies: Mapping[int, PolicyState]
    virtual_hosts: tuple[VirtualHostState, ...]
    traffic: TrafficState
    tuning: Tuning = UNTUNED
    names_off: tuple[str, ...] = ()
    "Hostnames of disabled virtual hosts. They return 421, even if another's wildcard matches."
    address_lists: tuple[AddressListState, ...] = ()
    proven_names: tuple[str, ...] = ()
    "Names that HAProxy proves to ACME authorities."
    client_cas: Mapping[int, ClientCaState] = field(default_factory=dict)
    paths: tuple[PathState, ...] = ()
    "Of enabled virtual hosts."
    header_rules: Mapping[int, tuple[HeaderRuleState, ...]] = field(default_factory=dict)
    "By enabled virtual host, in order."
    logins: Mapping[int, str] = field(default_factory=dict, repr=False)
    "By enabled virtual host: HAProxy's map."
    error_pages: tuple[ErrorPageState, ...] = ()
    "Those in use."
    awaited_names: frozenset[str] = frozenset()
    "Names of certificates that an authority has not issued yet."

    @classmethod
    def from_rows(cls, rows: Rows, facts: EngineFacts) -> "DesiredState":
        names = defaultdict(list)
        for row in sorted(rows["hostname"], key=lambda row: row["position"]):
            names[row["virtual_host_id"]].append(row["name"])
        hosts = ENABLED.of(rows, names)
        enabled = {host.id for host in hosts}
        return cls(
            facts=facts,
            policies=POLICIES.of(rows["policy"]),
            virtual_hosts=hosts,
            logins=login_maps.by_virtual_host(rows, facts, enabled),
            error_pages=error_pages.in_use(rows, hosts),
            traffic=TrafficState.from_row(next(iter(rows["traffic"]), None), facts),
            tuning=Tuning.from_rows(rows),
            names_off=tuple(
                sorted(name for row in rows["virtualhost"] if not row["enabled"] for name in names[row["id"]])
            ),
            address_lists=tuple(
                AddressListState.from_row(row) for row in sorted(rows["addresslist"], key=lambda row: row["id"])
            ),
            paths=tuple(
                PathState.from_row(row)
                for row in sorted(rows.get("pathbinding", ()), key=lambda row: row["id"])
                if row["virtual_host_id"] in enabled
            ),
            header_rules=header_rules.by_virtual_host(rows, enabled),
            proven_names=acme.proven_names(rows),
            client_cas={
                row["id"]: ClientCaState(row["id"], row["certificates"], row["revocation_lists"])
                for row in sorted(rows["clientca"], key=lambda row: row["id"])
            },
            awaited_names=acme.awaited_names(
                rows, {certificate.certificate_id for certificate in facts.certificates.all}
            ),
        )

    @property
    def body_limit(self) -> int:
        """The largest body limit of a policy that is in effect, in bytes. It determines HAProxy's buffers."""
        return max((policy.body_limit for policy, _ in self.in_effect), default=0)

    @property
    def default_host(self) -> VirtualHostState | None:
        """The one for requests whose hostname no virtual host has."""
        return next((host for host in self.virtual_hosts if host.answers_unknown), None)

    @cached_property
    def bound(self) -> tuple[BoundHost, ...]:
        """Everything that requests are bound to: each virtual host, and each of its paths."""
        return (
            *(BoundHost(str(host.id), host, section_of(host.id)) for host in self.virtual_hosts),
            *(bound for _, bound in self.bound_paths),
        )

    @cached_property
    def bound_paths(self) -> tuple[tuple[PathState, BoundHost], ...]:
        hosts = {host.id: host for host in self.virtual_hosts} if self.paths else {}
        return tuple((path, self._bound(path, hosts[path.virtual_host_id])) for path in self.paths)

    @cached_property
    def paths_with_sections(self) -> Mapping[int, Sequence[tuple[PathState, BoundHost]]]:
        """By virtual host."""
        by_host = defaultdict(list)
        for path, bound in self.bound_paths:
            if path.has_section:
                by_host[path.virtual_host_id].append((path, bound))
        return by_host

    @cached_property
    def applied_headers(self) -> tuple[tuple[HeaderRuleState, ...], ...]:
        """The header rules of each virtual host, and of each path with some of its own."""
        of_paths = (self.headers_of(path.virtual_host_id, path) for path in self.paths if path.own_headers)
        return (*self.header_rules.values(), *of_paths)

    def headers_of(self, host_id: int, path: PathState | None) -> tuple[HeaderRuleState, ...]:
        """In the order in which they are applied."""
        return (*self.header_rules.get(host_id, ()), *(path.own_headers if path else ()))

    @cached_property
    def https_hosts(self) -> tuple[VirtualHostState, ...]:
        """The virtual hosts with HTTPS, if HAProxy has TLS and a listener for it."""
        if not self.facts.https_binds or not self.facts.has_tls:
            return ()
        return tuple(host for host in self.virtual_hosts if host.https)

    @cached_property
    def chosen_certificates(self) -> Chosen:
        """Of these virtual hosts."""
        return Chosen.between(self.facts.certificates, self.https_hosts, self.traffic.default_certificate_id)

    def with_chosen(self, chosen: Chosen | None) -> Self:
        """Without the certificates that others are chosen from."""
        if chosen is not None:
            self.__dict__["chosen_certificates"] = chosen
        return self

    @staticmethod
    def _bound(path: PathState, host: VirtualHostState) -> BoundHost:
        policy_id, mode = at_path(path, host)
        own = {"policy_id": policy_id, "enforcement_mode": mode, "servers": path.servers or host.servers}
        key = f"{host.id}.{path.id}"
        section = section_of(key if path.has_section else host.id)
        return BoundHost(key, host._replace(**own, **dict(path.differences)), section)

    @cached_property
    def with_own(self) -> frozenset[tuple[int, int]]:
        """Policy and virtual host of each exclusion that applies to a single host."""
        return frozenset(
            (exclusion.policy_id, exclusion.virtual_host_id)
            for exclusion in self.tuning.exclusions
            if exclusion.virtual_host_id
        )

    @cached_property
    def in_effect(self) -> frozenset[tuple[PolicyState, EnforcementMode]]:
        """Every policy in each mode that requests get, except off. There are few of them and many virtual hosts."""
        one_of_each = {(host.policy_id, host.enforcement_mode): host for _, host, _ in self.bound}
        effective = map(self.effective, one_of_each.values())
        return frozenset((policy, mode) for policy, mode in effective if policy and mode is not EnforcementMode.OFF)

    def effective(self, host: VirtualHostState) -> tuple[PolicyState | None, EnforcementMode]:
        """A virtual host's policy and effective mode."""
        policy = self.policies.get(host.policy_id) if host.policy_id is not None else None
        return policy, effective_mode(host.enforcement_mode, policy)
