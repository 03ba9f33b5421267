"""How much of policies' client limits an address has used up: asked of the running HAProxy."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines.haproxy.map_commands import MapCommands
from guardpanel.models import Policy
from guardpanel.models.policies.policy_limits import LimitBy

KEY_BITS = {LimitBy.CLIENT: {4: 32, 6: 64}, LimitBy.NETWORK: {4: 24, 6: 56}}
"As config_templates/haproxy/_limits.cfg.j2 has them."

COUNTERS = ("http_req_rate", "conn_cur", "http_err_rate", "bytes_out_rate")

MIB = 1024 * 1024


@dataclass(frozen=True)
class Used:
    """Of one policy's limits, now."""

    policy: Policy
    requests: int
    "In the policy's period. It fades, so a part of a request may be left."
    at_once: int
    errors: int
    sent: int
    "Bytes."

    @property
    def mib(self) -> int:
        return self.sent // MIB

    @property
    def is_over(self) -> bool:
        """Whether the next request would be."""
        limits = self.policy
        limited = [
            (self.requests, limits.rate_limit_requests),
            (self.at_once, limits.requests_at_once),
            (self.errors, limits.errors_per_period),
            (self.sent, limits.mib_per_period and limits.mib_per_period * MIB),
        ]
        return any(most is not None and count >= most for count, most in limited)


async def used(session: AsyncSession, cli: MapCommands, address: str) -> Sequence[Used]:
    """By policy, where HAProxy has counted requests of this address. Raises EngineUnavailable (503)."""
    by_address = col(Policy.limit_by).in_(KEY_BITS)
    query = select(Policy).where(col(Policy.client_limits), by_address).order_by(col(Policy.name))
    each = [await _of_policy(cli, policy, address) for policy in await session.exec(query)]
    return [limit for limit in each if limit.requests or limit.at_once or limit.errors or limit.sent]


async def _of_policy(cli: MapCommands, policy: Policy, address: str) -> Used:
    table = f"requests_per_{policy.rate_limit_window_seconds}"
    counts = await cli.counts(table, f"{policy.id}:{_network(address, policy.limit_by)}")
    return Used(policy, *(counts.get(name, 0) for name in COUNTERS))


def _network(address: str, by: LimitBy) -> str:
    whole = ip_network(address)
    return str(whole.supernet(new_prefix=KEY_BITS[by][whole.version]).network_address)
