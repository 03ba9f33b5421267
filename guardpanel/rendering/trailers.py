"""Fields after a body that passes in parts (trailers, RFC 9112 §7.1.2), where HAProxy has no option that drops them.

A filter in Lua looks for them. Without Lua, a body that may have some does not pass: HAProxy refuses what names no length.
"""

from guardpanel.models.enforcement import EnforcementMode
from guardpanel.rendering import waiting
from guardpanel.rendering.capacity import LARGE_BODY
from guardpanel.rendering.state import DesiredState
from guardpanel.rendering.virtual_host import VirtualHostState


def watched(state: DesiredState) -> bool:
    return state.facts.runs_lua and _have_a_way(state)


def need_a_length(state: DesiredState) -> bool:
    """Whether bodies in chunks are refused that do not fit what is waited for."""
    return not state.facts.runs_lua and _have_a_way(state)


def _have_a_way(state: DesiredState) -> bool:
    return not state.facts.drops_trailers and any(_passes_in_parts(state, host) for host in state.virtual_hosts)


def _passes_in_parts(state: DesiredState, host: VirtualHostState) -> bool:
    """Late or larger ones, those without the WAF, and where it fails open large ones for which there is no place."""
    policy, mode = state.effective(host)
    if policy is None or mode is EnforcementMode.OFF or waiting.passes_slow(policy, mode):
        return not host.maintenance
    return policy.fails_open(mode) and policy.body_limit > LARGE_BODY and not host.maintenance
