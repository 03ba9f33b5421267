"""How much of policies' client limits an address has used up, asked of the running HAProxy, and what it is to forget of that."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines.haproxy.map_commands import MapCommands, plain
from guardpanel.errors import NotFound
from guardpanel.models import Policy
from guardpanel.models.policies.policy_limits import NETWORK_BITS, LimitBy

WHOLE = {4: 32, 6: 64}
"Bits of a client’s address. As config_templates/haproxy/_limits.cfg.j2 has them."

COUNTERS = ("http_req_rate", "conn_cur", "http_err_rate", "bytes_out_rate")

MIB = 1024 * 1024

BY = ":by"
"In keys of a header's or cookie's value, before its hash."

BY_VALUE = {LimitBy.HEADER, LimitBy.COOKIE}
"Of requests without it, the client counts."


class Met(NamedTuple):
    """The count that a request met."""

    policy_id: int
    key: str


@dataclass(frozen=True)
class Used:
    """Of one policy's limits, now."""

    policy: Policy
    key: str
    "Of the policy's table."
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
    def of(self) -> str:
        """`of one path`. Empty: of the client, or its network."""
        if self.policy.limit_by is LimitBy.PATH:
            return "of one path"
        if BY in self.key:
            return f"with the {self.policy.limit_by_name} of this request"
        return f"without {self.policy.limit_by_name}" if self.policy.limit_by in BY_VALUE else ""

    @property
    def is_anything(self) -> bool:
        return bool(self.can_be_forgotten or self.at_once)

    @property
    def can_be_forgotten(self) -> bool:
        """What is in progress cannot."""
        return bool(self.requests or self.errors or self.sent)

    @property
    def is_over(self) -> bool:
        """Whether the next request would be."""
        limited = zip((self.requests, self.at_once, self.errors, self.sent), most_of(self.policy), strict=True)
        return any(most is not None and count >= most for count, most in limited)


def most_of(policy: Policy) -> tuple[int | None, ...]:
    """By counter. None: no limit."""
    sent = policy.mib_per_period * MIB if policy.mib_per_period else None
    return policy.rate_limit_requests, policy.requests_at_once, policy.errors_per_period, sent


async def used(session: AsyncSession, cli: MapCommands, address: str, met: Met | None = None) -> Sequence[Used]:
    """By policy, where HAProxy has counted requests of this address, and the count that a request met. If paths count, those
    over a limit. Raises EngineUnavailable (503)."""
    policies = await session.exec(select(Policy).where(col(Policy.client_limits)).order_by(col(Policy.name)))
    each = [await _of_policy(cli, policy, address, met) for policy in policies]
    return [limit for limits in each for limit in limits if limit.is_anything]


async def forgive(
    session: AsyncSession, cli: MapCommands, policy_id: int, address: str, met: Met | None = None
) -> Policy:
    """Forget what a policy has counted of an address, and what a request met: its next requests pass. Bans stay. Raises
    NotFound (404) if nothing is counted, and EngineUnavailable (503)."""
    policy = await session.get(Policy, policy_id)
    limits = await _of_policy(cli, policy, address, met) if policy and policy.client_limits else []
    counted = [limit for limit in limits if limit.can_be_forgotten]
    if policy is None or not counted:
        raise NotFound(f"No requests of {address} are counted by this policy now.")
    for limit in counted:
        await cli.forget_rates(_table(policy), limit.key)
    return policy


def plain_address(text: str) -> str:
    """Canonical, and of IPv4 if it is mapped to IPv6. Raises ValueError, also for one with a zone: HAProxy has none."""
    address = ip_address(plain(text))
    return str(getattr(address, "ipv4_mapped", None) or address)


async def _of_policy(cli: MapCommands, policy: Policy, address: str, met: Met | None) -> Sequence[Used]:
    bits = NETWORK_BITS if policy.limit_by is LimitBy.NETWORK else WHOLE
    key = f"{policy.id}:{_network(address, bits)}"
    if policy.limit_by is LimitBy.PATH:
        by_key = await _over(cli, policy, key)
    else:
        by_key = {key: await cli.counts(_table(policy), key)}
    if met and met.policy_id == policy.id and met.key not in by_key:
        by_key[met.key] = await cli.counts(_table(policy), met.key)
    return [Used(policy, key, *(counts.get(name, 0) for name in COUNTERS)) for key, counts in by_key.items()]


async def _over(cli: MapCommands, policy: Policy, key: str) -> dict[str, dict[str, int]]:
    """Of the paths of a client, of which there may be many, those over a limit."""
    over: dict[str, dict[str, int]] = {}
    for name, most in zip(COUNTERS, most_of(policy), strict=True):
        if most is not None:
            over |= await cli.counts_from(_table(policy), name, most)
    return {each: counts for each, counts in over.items() if each.rpartition(":")[0] == key}


def _table(policy: Policy) -> str:
    return f"requests_per_{policy.rate_limit_window_seconds}"


def _network(address: str, bits: dict[int, int]) -> str:
    whole = ip_network(address)
    return str(whole.supernet(new_prefix=bits[whole.version]).network_address)
