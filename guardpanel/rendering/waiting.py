"""How long HAProxy waits for bodies, by the policies' minimum time and rate.

There are two kinds. A policy that rejects late bodies waits with `http-request wait-for-body`, which ends with 408 and takes a
constant time: one rule for each class of lengths. A policy that passes them waits earlier, with `tcp-request content`, which
continues with what has arrived. Its time is computed while the body arrives.
"""

from collections.abc import Iterable
from typing import NamedTuple

from guardpanel.models.policies.enforcement import EnforcementMode, OverLimit
from guardpanel.models.policies.policy import KIB
from guardpanel.rendering.policy import PolicyState
from guardpanel.rendering.state import DesiredState
from guardpanel.rendering.virtual_host import VirtualHostState

CLASSES = (64 * KIB, 256 * KIB, 1024 * KIB, 4096 * KIB)
"Bytes. Bodies up to each length have the same time if they may be rejected."

LONGEST_HELD = 30
"""Seconds after which a body that may pass does, however steadily it arrives: a client may await a response to its first part.
Shorter than `timeout client`, which would end the request."""

PASSES = "pass"

OFF = "off"
"For virtual hosts without the WAF: only short chunked bodies are awaited, because of the fields after them."

SHORT_KIB, SHORT_SECONDS, SHORT_RATE_KIB = 16, 1, 16


class Wait(NamedTuple):
    """A rule for bodies of such policies between two lengths."""

    key: str
    at_least: int
    "Bytes that suffice: one more than the policy's limit, so that a larger body is noticed."
    shortest: int
    longest: int
    seconds: int


def slow(policy: PolicyState, mode: EnforcementMode, largest_body: int) -> str:
    """What vhosts.map contains about slow bodies: that they pass, or which rules apply."""
    if passes_slow(policy, mode):
        return PASSES
    return f"{min(policy.body_limit, largest_body)}:{policy.upload_seconds}:{policy.upload_rate_kib}"


def passes_slow(policy: PolicyState, mode: EnforcementMode) -> bool:
    return mode is EnforcementMode.DETECT_ONLY or policy.over(mode) is not OverLimit.REFUSE


def waits(state: DesiredState) -> list[Wait]:
    """The rules of policies that reject late bodies, without duplicates."""
    rules = set()
    for policy, mode in state.in_effect:
        if not passes_slow(policy, mode):
            rules |= set(_classes(policy, slow(policy, mode, state.facts.largest_body), state.facts.largest_body))
    return sorted(rules)


def _classes(policy: PolicyState, key: str, largest_body: int) -> Iterable[Wait]:
    limit, shortest = min(policy.body_limit, largest_body), 0
    for longest in (*(size for size in CLASSES if size < limit), limit):
        yield Wait(key, limit + 1, shortest, longest, seconds(policy, longest))
        shortest = longest + 1


def seconds(policy: PolicyState, length: int) -> int:
    """The minimum time plus the length at the minimum rate, in whole seconds, rounded up."""
    return policy.upload_seconds - -length // (policy.upload_rate_kib * KIB)


def passing_limits(state: DesiredState) -> list[int]:
    """The distinct body limits, in bytes, of policies that pass late bodies."""
    largest = state.facts.largest_body
    return sorted({min(policy.body_limit, largest) for policy, mode in state.in_effect if passes_slow(policy, mode)})


def policies_over(state: DesiredState, length: int) -> list[int]:
    """The ids of effective policies that inspect bodies larger than this, in bytes."""
    return sorted({policy.id for policy, _ in state.in_effect if policy.body_limit > length})


def held_seconds(state: DesiredState) -> int:
    """The maximum wait for anything that may pass, if HAProxy can continue with what has arrived."""
    return min(max(_passing(state), default=SHORT_SECONDS), LONGEST_HELD)


def passing_seconds(state: DesiredState) -> int:
    """The maximum wait if it cannot."""
    return max([60, *_passing(state)])


def _passing(state: DesiredState) -> list[int]:
    largest = state.facts.largest_body
    return [
        seconds(policy, min(policy.body_limit, largest))
        for policy, mode in state.in_effect
        if passes_slow(policy, mode)
    ]


def response_limits(state: DesiredState) -> list[int]:
    """The distinct body limits, in bytes, of policies that inspect responses."""
    largest = state.facts.largest_body
    return sorted({min(policy.body_limit, largest) for policy, _ in state.in_effect if policy.response_inspection})


def patience_map(state: DesiredState) -> str:
    """By virtual host, or path of one, `limit;milliseconds;bytes a second;over the limit;policy`, if late bodies pass."""
    known: dict[object, str] = {}
    lines = []
    for place, host, _ in state.bound:
        key = host.policy_id, host.enforcement_mode, host.streaming
        if key not in known:
            known[key] = _patience(state, host)
        if known[key] and not host.maintenance:
            lines.append(f"{place} {known[key]}\n")
    return "".join(lines)


def _patience(state: DesiredState, host: VirtualHostState) -> str:
    policy, mode = state.effective(host)
    if host.streaming:
        return ""
    if policy is None or mode is EnforcementMode.OFF:
        return "" if state.facts.drops_trailers else _words(SHORT_KIB * KIB, SHORT_SECONDS, SHORT_RATE_KIB, OFF, 0)
    if not passes_slow(policy, mode):
        return ""
    limit = min(policy.body_limit, state.facts.largest_body)
    return _words(limit, policy.upload_seconds, policy.upload_rate_kib, over_word(policy, mode, state), policy.id)


def _words(limit: int, least: int, rate_kib: int, over: str, policy_id: int) -> str:
    return f"{limit};{least * 1000};{rate_kib * KIB};{over};{policy_id}"


def over_word(policy: PolicyState, mode: EnforcementMode, state: DesiredState) -> str:
    """What happens to larger bodies: `refuse`, `beginning` or `pass`. coraza-spoa cannot inspect a part of one."""
    match policy.over(mode):
        case OverLimit.REFUSE:
            return "refuse"
        case OverLimit.INSPECT_BEGINNING if not state.facts.small_frames:
            return "beginning"
    return "pass"
