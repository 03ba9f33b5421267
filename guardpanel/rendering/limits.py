"""How many requests a client may send (docs/limits.md): what vhosts.map says of a policy's limits, and the tables that count.

A table counts over one time, so there is one for each period in use, and its keys begin with the policy's id.
"""

from collections.abc import Iterable
from string import ascii_lowercase
from typing import Any, NamedTuple

from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.policy import KIB
from guardpanel.models.policies.policy_limits import LimitBy
from guardpanel.rendering import waiting
from guardpanel.rendering.capacity import MIB
from guardpanel.rendering.paths import spelled_letters
from guardpanel.rendering.policy import PolicyState
from guardpanel.rendering.state import DesiredState
from guardpanel.rendering.tokens import Token, literal

NONE = "-"

TABLE_ENTRIES = 100_000
"Clients that one table remembers, 33 MB of them. The oldest makes room for a new one."

MOST_PERIODS = 8
"Tables."

KEY_LENGTH = 64
"Characters: a policy's id, an IPv6 network, a hash, and colons."

DELAYED_BODY = 16 * KIB
"Bytes that a request may have to wait for room."

RETRY_AT_ONCE = 5
"Seconds until another try of a client with too many requests at once, of which nobody knows how long they take."

MORE_COUNTER, OLD_COUNTER = 3, 0
"HAProxy's counter of a request that is used: the fourth. Where there are three, the one of what passed without a verdict."


def limits(policy: PolicyState, mode: EnforcementMode) -> str:
    """`10:100:20:refuse:11:network`: the period in seconds, requests in it, requests at once, what becomes of more, the seconds
    after which a client with too many in a period may try again, what they count by if it is not the client's address, errors and
    bytes in the period if they have limits, and the seconds for which one too many waits."""
    if not policy.client_limits:
        return NONE
    period, most = policy.rate_limit_window_seconds, policy.rate_limit_requests
    then = "refuse" if mode is EnforcementMode.BLOCK else "watch"
    by = "" if policy.limit_by is LimitBy.CLIENT else counted_by(policy)
    more = (policy.errors_per_period or "", (policy.mib_per_period or 0) * MIB or "", policy.limit_delay_seconds or "")
    parts = (period, most, policy.requests_at_once, then, period - -period // most, by, *more)
    return ":".join(map(str, parts)).rstrip(":")


def counted_by(policy: PolicyState) -> str:
    """`network`, `path`, `header.x-api-key`, `cookie.session`"""
    match policy.limit_by:
        case LimitBy.HEADER:
            return f"header.{policy.limit_by_name.lower()}"
        case LimitBy.COOKIE:
            return f"cookie.{policy.limit_by_name}"
    return policy.limit_by


def parameters(state: DesiredState) -> dict[str, Any]:
    """What the templates need."""
    used = periods(state)
    shares = bool(used) and not state.facts.more_counters
    return {
        "limit_periods": used,
        "error_periods": seconds(policy for policy in limited(state) if policy.errors_per_period),
        "data_periods": seconds(policy for policy in limited(state) if policy.mib_per_period),
        "delays": delays(state),
        "delayed_body": DELAYED_BODY,
        "limits_networks": any(policy.limit_by is LimitBy.NETWORK for policy in limited(state)),
        "limits_paths": any(policy.limit_by is LimitBy.PATH for policy in limited(state)),
        "limit_letters": spelled_letters([ascii_lowercase]),
        "limit_keys": keys(state),
        "limit_entries": TABLE_ENTRIES,
        "limit_key_length": KEY_LENGTH,
        "retry_at_once": RETRY_AT_ONCE,
        "limit_counter": MORE_COUNTER if state.facts.more_counters else OLD_COUNTER,
        "shares_counters": shares,
        "uninspected_counter": 2 if shares else 0,
        "inspecting_policies": waiting.policies_over(state, 0) if shares else [],
    }


def periods(state: DesiredState) -> list[int]:
    """Seconds, of policies in effect."""
    return seconds(limited(state))


def seconds(policies: Iterable[PolicyState]) -> list[int]:
    return sorted({policy.rate_limit_window_seconds for policy in policies})


def delays(state: DesiredState) -> bool:
    """Whether requests over a limit wait for room."""
    return state.facts.runs_lua and any(policy.limit_delay_seconds for policy in limited(state))


class Key(NamedTuple):
    """A header or cookie that policies in effect count by: as vhosts.map has it, and as HAProxy reads it."""

    word: str
    fetched: Token
    number: Token
    "How many of them a request has."


READ_AS = {LimitBy.HEADER: "req.fhdr", LimitBy.COOKIE: "req.cook"}


def keys(state: DesiredState) -> list[Key]:
    return sorted({key(policy) for policy in limited(state) if policy.limit_by in READ_AS})


def key(policy: PolicyState) -> Key:
    word, read_as = counted_by(policy), READ_AS[policy.limit_by]
    name = literal(word.partition(".")[2])
    return Key(word, Token(f"{read_as}({name})"), Token(f"{read_as}_cnt({name})"))


def limited(state: DesiredState) -> list[PolicyState]:
    """Policies in effect with limits."""
    return [policy for policy, _ in state.in_effect if policy.client_limits]
