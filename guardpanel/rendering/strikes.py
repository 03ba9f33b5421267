"""Responses that count towards a ban: a map that HAProxy's log lines are marked by (docs/limits.md).

Paths are compared as those of path bindings are, so that no other spelling of one dodges the count.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.rendering.bound_paths import fold, with_slash
from guardpanel.rendering.paths import spelled_letters
from guardpanel.rendering.policy import PolicyState
from guardpanel.rendering.state import DesiredState

MAP = "strikes.map"

ODD = ".."
"In place of a path that servers read in too many ways."


def counts(policy: PolicyState, mode: EnforcementMode) -> bool:
    """Whether what servers respond can ban somebody."""
    is_asked = bool(policy.login_paths or policy.error_statuses)
    return is_asked and policy.automatic_bans and mode is EnforcementMode.BLOCK


def policies(state: DesiredState) -> list[PolicyState]:
    """Those in effect that count."""
    used = {policy.id: policy for policy, mode in state.in_effect if counts(policy, mode)}
    return [used[number] for number in sorted(used)]


def parameters(state: DesiredState) -> dict[str, Any]:
    """What the templates need."""
    counted = policies(state)
    return {
        "strikes": bool(counted),
        "log_in_letters": spelled_letters(path for policy in counted for path in policy.login_paths),
    }


def files(state: DesiredState) -> dict[str, str]:
    lines = "".join(line for policy in policies(state) for line in _lines(policy))
    return {MAP: lines} if lines else {}


def _lines(policy: PolicyState) -> Iterator[str]:
    """`3: 404` for every request; `3:/login/ 404,401,403` and `3:.. 404,401,403` for logins. The longest one wins."""
    if policy.error_statuses:
        yield f"{policy.id}: {_statuses(policy.error_statuses)}\n"
    if policy.login_paths:
        failed = _statuses([*policy.error_statuses, *policy.login_statuses])
        keys = dict.fromkeys([ODD, *(with_slash(fold(path)) for path in policy.login_paths)])
        yield from (f"{policy.id}:{key} {failed}\n" for key in keys)


def _statuses(statuses: Iterable[str]) -> str:
    return ",".join(dict.fromkeys(statuses))
