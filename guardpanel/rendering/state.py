"""Everything that the config templates may see: the database's rows as frozen values.

Built from plain rows (one mapping per row and table), so that a revision's snapshot renders exactly as the
tables it was taken from.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from guardpanel.models.policy import (
    KIB,
    LARGEST_BODY_KIB,
    LARGEST_BODY_KIB_IN_SMALL_FRAMES,
    EnforcementMode,
    FailMode,
    OverLimit,
    StreamedResponses,
    effective_mode,
    fails_open,
    over_limit_in,
)
from guardpanel.models.traffic import ClientIpSource, ProxyProtocol, Scheme
from guardpanel.models.types import Endpoint, endpoint
from guardpanel.settings import bind_text

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
"By table: `virtualhost`, `hostname`, `server`, `policy`, `traffic`."

LARGEST_HEADERS = 32 * KIB
"Bytes of all request headers together; more gets 431. Leaves room in HAProxy's buffer for the body."

LARGEST_ADDRESS = 8 * KIB
"Bytes of path and query together; more gets 414, for the same reason."


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Where the engines meet, from the settings: the same for every revision of an installation."""

    http_binds: tuple[tuple[str, int], ...]
    probe_socket: str
    agent_socket: str
    system_ca: str
    "The machine's certificate authorities: a PEM file, or `@system-ca` for HAProxy's built-in default."
    secret: str
    "Known to the panel and HAProxy alone: marks the panel's own requests."
    small_frames: bool = False
    "The agent is a coraza-spoa: where HAProxy's buffers are larger than 64 KiB it refuses every connection."

    server_states: str = ""
    """The file in which a new worker finds what the one before knew of servers; its path is part of the configuration, what is
    in it is not. Empty: there is nobody who writes one."""
    drops_trailers: bool = False
    "HAProxy knows `option http-drop-request-trailers` (3.2): where it does not, requests with trailers are refused."

    memory_mib: int = 2048
    "Of the machine or the container, as services/installation.py remembers it."

    open_files: int = 100_000
    "File descriptors that HAProxy may have."

    holds_responses: bool = False
    "HAProxy can wait for a response and go on with what came (2.8): 2.6 then loses those whose server closes."

    @property
    def largest_body(self) -> int:
        """Bytes of a request's body that can be inspected; a policy's limit may say more than that."""
        return KIB * (LARGEST_BODY_KIB_IN_SMALL_FRAMES if self.small_frames else LARGEST_BODY_KIB)


class ListenerState(NamedTuple):
    """One of GUARDPANEL_HTTP_BIND; `name` is HAProxy's for it, and its networks' map's."""

    name: str
    bind: str
    proxy_protocol: ProxyProtocol = ProxyProtocol.OFF
    proxy_networks: tuple[str, ...] = ()
    scheme: Scheme = Scheme.HTTP

    @property
    def takes_proxy_protocol(self) -> bool:
        return self.proxy_protocol is not ProxyProtocol.OFF


class TrafficState(NamedTuple):
    listeners: tuple[ListenerState, ...]
    client_ip_source: ClientIpSource = ClientIpSource.CONNECTION
    trusted_networks: tuple[str, ...] = ()
    forwarded_hops: int = 0
    client_ip_header: str = ""
    max_connections: int = 0
    max_requests_per_client: int = 0

    @property
    def takes_proxy_protocol(self) -> bool:
        return any(one.takes_proxy_protocol for one in self.listeners)

    @property
    def may_see_mapped_addresses(self) -> bool:
        """IPv6 sockets, and what speaks the PROXY protocol, may name IPv4 visitors by `::ffff:192.0.2.7`."""
        return self.takes_proxy_protocol or any(one.bind.startswith("[") for one in self.listeners)


class ServerState(NamedTuple):
    position: int
    endpoint: Endpoint
    weight: int
    backup: bool
    enabled: bool
    resolve_later: bool


class PolicyState(NamedTuple):
    id: int
    name: str
    enforcement_mode: EnforcementMode
    blocking_paranoia_level: int
    detection_paranoia_level: int
    inbound_anomaly_threshold: int
    outbound_anomaly_threshold: int
    body_limit: int
    "Bytes."
    argument_limit: int
    json_value_limit: int
    over_limit: OverLimit
    upload_seconds: int
    upload_rate_kib: int
    response_inspection: bool
    file_inspection: bool
    response_seconds: int
    streamed_responses: StreamedResponses
    fail_mode: FailMode
    allowed_methods: tuple[str, ...]
    allowed_content_types: tuple[str, ...]
    content_type_readings: tuple[str, ...]
    skip_paths: tuple[str, ...]
    masked_fields: tuple[str, ...]

    def fails_open(self, mode: EnforcementMode) -> bool:
        return fails_open(self.fail_mode, mode)

    def over(self, mode: EnforcementMode) -> OverLimit:
        return over_limit_in(self.over_limit, mode)


class VirtualHostState(NamedTuple):
    id: int
    hostnames: tuple[str, ...]
    servers: tuple[ServerState, ...]
    policy_id: int | None
    enforcement_mode: EnforcementMode | None
    maintenance: bool
    balance: str
    health_check: bool
    health_check_path: str
    health_check_interval: int
    health_check_rise: int
    health_check_fall: int
    health_check_status: str
    health_check_host: str
    tls_verify: str
    tls_ca: str
    tls_name: str

    @property
    def first_exact_hostname(self) -> str:
        """What the health check and TLS name fall back to; a wildcard stands for `www` below it."""
        exact = next((name for name in self.hostnames if not name.startswith("*.")), None)
        return exact or self.hostnames[0].replace("*.", "www.", 1)


@dataclass(frozen=True)
class DesiredState:
    """What the database says should run. Of disabled virtual hosts it has the names alone."""

    facts: EngineFacts
    policies: Mapping[int, PolicyState]
    virtual_hosts: tuple[VirtualHostState, ...]
    traffic: TrafficState
    names_off: tuple[str, ...] = ()
    "Hostnames of disabled virtual hosts: they get 421, also where another's wildcard would take them."

    @classmethod
    def from_rows(cls, rows: Rows, facts: EngineFacts) -> "DesiredState":
        names, servers = defaultdict(list), defaultdict(list)
        for row in sorted(rows["hostname"], key=lambda row: row["position"]):
            names[row["virtual_host_id"]].append(row["name"])
        for row in sorted(rows["server"], key=lambda row: row["position"]):
            servers[row["virtual_host_id"]].append(server_state(row))
        return cls(
            facts=facts,
            policies={row["id"]: policy_state(row) for row in sorted(rows["policy"], key=lambda row: row["id"])},
            virtual_hosts=tuple(
                virtual_host_state(row, tuple(names[row["id"]]), tuple(servers[row["id"]]))
                for row in sorted(rows["virtualhost"], key=lambda row: row["id"])
                if row["enabled"]
            ),
            traffic=traffic_state(next(iter(rows["traffic"]), None), facts),
            names_off=tuple(
                sorted(name for row in rows["virtualhost"] if not row["enabled"] for name in names[row["id"]])
            ),
        )

    @property
    def body_limit(self) -> int:
        """The largest of any policy that is in effect somewhere, in bytes: HAProxy's buffers follow it."""
        used = {self.effective(host) for host in self.virtual_hosts}
        return max((one.body_limit for one, mode in used if one and mode is not EnforcementMode.OFF), default=0)

    def effective(self, host: VirtualHostState) -> tuple[PolicyState | None, EnforcementMode]:
        """The policy of a virtual host and the mode it has there."""
        policy = self.policies.get(host.policy_id) if host.policy_id is not None else None
        return policy, effective_mode(host.enforcement_mode, policy)


def traffic_state(row: Row | None, facts: EngineFacts) -> TrafficState:
    """None: nothing was ever set. What was set for a listener that there is no more waits for its return."""
    stored = {one["address"]: one for one in row["listeners"]} if row else {}
    listeners = tuple(
        listener_state(f"in{number}", bind_text(*bind), stored.get(bind_text(*bind)))
        for number, bind in enumerate(facts.http_binds, 1)
    )
    if row is None:
        return TrafficState(listeners)
    return TrafficState(
        listeners,
        client_ip_source=ClientIpSource(row["client_ip_source"]),
        trusted_networks=tuple(row["trusted_networks"]),
        forwarded_hops=row["forwarded_hops"],
        client_ip_header=row["client_ip_header"],
        max_connections=row["max_connections"],
        max_requests_per_client=row["max_requests_per_client"],
    )


def listener_state(name: str, bind: str, row: Row | None) -> ListenerState:
    if row is None:
        return ListenerState(name, bind)
    protocol, scheme = ProxyProtocol(row["proxy_protocol"]), Scheme(row["scheme"])
    return ListenerState(name, bind, protocol, tuple(row["proxy_networks"]), scheme)


def server_state(row: Row) -> ServerState:
    return ServerState(
        position=row["position"],
        endpoint=endpoint(row["address"], scheme=row["scheme"]),
        weight=row["weight"],
        backup=bool(row["backup"]),
        enabled=bool(row["enabled"]),
        resolve_later=bool(row["resolve_later"]),
    )


def policy_state(row: Row) -> PolicyState:
    return PolicyState(
        id=row["id"],
        name=row["name"],
        enforcement_mode=EnforcementMode(row["enforcement_mode"]),
        blocking_paranoia_level=row["blocking_paranoia_level"],
        detection_paranoia_level=row["detection_paranoia_level"],
        inbound_anomaly_threshold=row["inbound_anomaly_threshold"],
        outbound_anomaly_threshold=row["outbound_anomaly_threshold"],
        body_limit=row["body_limit_kib"] * KIB,
        argument_limit=row["argument_limit"],
        json_value_limit=row["json_value_limit"],
        over_limit=OverLimit(row["over_limit"]),
        upload_seconds=row["upload_seconds"],
        upload_rate_kib=row["upload_rate_kib"],
        response_inspection=bool(row["response_inspection"]),
        file_inspection=bool(row["file_inspection"]),
        response_seconds=row["response_seconds"],
        streamed_responses=StreamedResponses(row["streamed_responses"]),
        fail_mode=FailMode(row["fail_mode"]),
        allowed_methods=tuple(row["allowed_methods"]),
        allowed_content_types=tuple(row["allowed_content_types"]),
        content_type_readings=tuple(row["content_type_readings"]),
        skip_paths=tuple(row["skip_paths"]),
        masked_fields=tuple(row["masked_fields"]),
    )


def virtual_host_state(row: Row, names: tuple[str, ...], servers: tuple[ServerState, ...]) -> VirtualHostState:
    mode = row["enforcement_mode"]
    return VirtualHostState(
        id=row["id"],
        hostnames=names,
        servers=servers,
        policy_id=row["policy_id"],
        enforcement_mode=EnforcementMode(mode) if mode else None,
        maintenance=bool(row["maintenance"]),
        balance=str(row["balance"]),
        health_check=bool(row["health_check"]),
        health_check_path=row["health_check_path"],
        health_check_interval=row["health_check_interval"],
        health_check_rise=row["health_check_rise"],
        health_check_fall=row["health_check_fall"],
        health_check_status=row["health_check_status"],
        health_check_host=row["health_check_host"],
        tls_verify=str(row["tls_verify"]),
        tls_ca=row["tls_ca"],
        tls_name=row["tls_name"],
    )
