"""A virtual host and its servers as the config templates see them."""

from typing import NamedTuple

from guardpanel.models.policy import EnforcementMode
from guardpanel.models.types import Endpoint, endpoint
from guardpanel.rendering.rows import Row


class ServerState(NamedTuple):
    position: int
    endpoint: Endpoint
    weight: int
    backup: bool
    enabled: bool
    resolve_later: bool

    @classmethod
    def from_row(cls, row: Row) -> "ServerState":
        return cls(
            position=row["position"],
            endpoint=endpoint(row["address"], scheme=row["scheme"]),
            weight=row["weight"],
            backup=bool(row["backup"]),
            enabled=bool(row["enabled"]),
            resolve_later=bool(row["resolve_later"]),
        )


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

    @classmethod
    def from_row(cls, row: Row, names: tuple[str, ...], servers: tuple[ServerState, ...]) -> "VirtualHostState":
        mode = row["enforcement_mode"]
        return cls(
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
