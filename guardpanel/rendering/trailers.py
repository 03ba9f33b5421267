"""Fields after a chunked body (trailers, RFC 9112 §7.1.2), for HAProxy versions without an option that drops them. A Lua filter
detects them. Without Lua, a body that may have trailers does not pass: HAProxy rejects requests without a length."""

from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.rendering import waiting
from guardpanel.rendering.capacity import LARGE_BODY
from guardpanel.rendering.state import DesiredState
from guardpanel.rendering.virtual_host import VirtualHostState


def watched(state: DesiredState) -> bool:
    return state.facts.runs_lua and _have_a_way(state)


def need_a_length(state: DesiredState) -> bool:
    """Whether chunked bodies are rejected if they exceed what is waited for."""
    return not state.facts.runs_lua and _have_a_way(state)


def _have_a_way(state: DesiredState) -> bool:
    return not state.facts.drops_trailers and any(_passes_in_parts(state, host) for _, host, _ in state.bound)


def _passes_in_parts(state: DesiredState, host: VirtualHostState) -> bool:
    """Streamed, late or larger bodies, those without the WAF and, if the policy fails open, large ones that exceed the
    capacity."""
    policy, mode = state.effective(host)
    if host.streaming or policy is None or mode is EnforcementMode.OFF or waiting.passes_slow(policy, mode):
        return not host.maintenance
    return policy.fails_open(mode) and policy.body_limit > LARGE_BODY and not host.maintenance
