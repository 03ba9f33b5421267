"""Everything that config templates can see: the database's rows as frozen values. Built from plain rows (a mapping per row), so
that a revision's snapshot renders exactly like the tables from which it was taken."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from guardpanel.models.policies.enforcement import EnforcementMode, effective_mode
from guardpanel.rendering import acme
from guardpanel.rendering.address_list import AddressListState
from guardpanel.rendering.facts import EngineFacts
from guardpanel.rendering.policy import PolicyState
from guardpanel.rendering.rows import Rows
from guardpanel.rendering.traffic import TrafficState
from guardpanel.rendering.tuning import UNTUNED, Tuning
from guardpanel.rendering.virtual_host import ServerState, VirtualHostState


class ClientCaState(NamedTuple):
    """The texts of a client CA: PEM."""

    id: int
    certificates: str
    revocation_lists: str


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
    awaited_names: frozenset[str] = frozenset()
    "Names of certificates that an authority has not issued yet."

    @classmethod
    def from_rows(cls, rows: Rows, facts: EngineFacts) -> "DesiredState":
        names, servers = defaultdict(list), defaultdict(list)
        for row in sorted(rows["hostname"], key=lambda row: row["position"]):
            names[row["virtual_host_id"]].append(row["name"])
        for row in sorted(rows["server"], key=lambda row: row["position"]):
            servers[row["virtual_host_id"]].append(ServerState.from_row(row))
        return cls(
            facts=facts,
            policies={
                row["id"]: PolicyState.from_row(row) for row in sorted(rows["policy"], key=lambda row: row["id"])
            },
            virtual_hosts=tuple(
                VirtualHostState.from_row(row, tuple(names[row["id"]]), tuple(servers[row["id"]]))
                for row in sorted(rows["virtualhost"], key=lambda row: row["id"])
                if row["enabled"]
            ),
            traffic=TrafficState.from_row(next(iter(rows["traffic"]), None), facts),
            tuning=Tuning.from_rows(rows),
            names_off=tuple(
                sorted(name for row in rows["virtualhost"] if not row["enabled"] for name in names[row["id"]])
            ),
            address_lists=tuple(
                AddressListState.from_row(row) for row in sorted(rows["addresslist"], key=lambda row: row["id"])
            ),
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
        used = {self.effective(host) for host in self.virtual_hosts}
        return max(
            (policy.body_limit for policy, mode in used if policy and mode is not EnforcementMode.OFF), default=0
        )

    @cached_property
    def with_own(self) -> frozenset[tuple[int, int]]:
        """Policy and virtual host of each exclusion that applies to a single host."""
        return frozenset(
            (exclusion.policy_id, exclusion.virtual_host_id)
            for exclusion in self.tuning.exclusions
            if exclusion.virtual_host_id
        )

    def effective(self, host: VirtualHostState) -> tuple[PolicyState | None, EnforcementMode]:
        """A virtual host's policy and effective mode."""
        policy = self.policies.get(host.policy_id) if host.policy_id is not None else None
        return policy, effective_mode(host.enforcement_mode, policy)
