"""What happens to a request: a policy's choices, and what they mean in each mode."""

from typing import Protocol

from guardpanel.models.meta import Choice


class EnforcementMode(Choice):
    BLOCK = "block", "Block"
    DETECT_ONLY = "detect_only", "Detect only"
    OFF = "off", "Off"


class FailMode(Choice):
    """What happens to a request that the WAF could not inspect."""

    BY_MODE = "by_mode", "Automatic"
    "Closed while blocking, open while only detecting."
    CLOSED = "closed", "Closed"
    "Answered with 503."
    OPEN = "open", "Open"
    "Passed without inspection, and counted."


def fails_open(fail_mode: FailMode, mode: EnforcementMode) -> bool:
    if fail_mode is FailMode.BY_MODE:
        return mode is EnforcementMode.DETECT_ONLY
    return fail_mode is FailMode.OPEN


class OverLimit(Choice):
    """What happens to a request whose body is larger than the policy's limit."""

    BY_MODE = (
        "by_mode",
        "Automatic",
        "413 in mode Block. Passed uninspected in Detect only, so that it rejects nothing.",
    )
    REFUSE = "refuse", "Reject with 413", "Nothing passes uninspected. Large uploads fail in Detect only, too."
    INSPECT_BEGINNING = (
        "inspect_beginning",
        "Inspect the beginning, pass the rest",
        "Inspects as much as the limit. An attack behind that much padding is missed.",
    )
    PASS = "pass", "Pass uninspected", "Any large body bypasses inspection. URL, headers, and cookies are inspected."


class HasMode(Protocol):
    @property
    def enforcement_mode(self) -> EnforcementMode: ...


class ChoosesPolicy(Protocol):
    """A virtual host, or a path of one: their fields, or what is rendered of them."""

    @property
    def policy_id(self) -> int | None: ...

    @property
    def enforcement_mode(self) -> EnforcementMode | None: ...


def effective_mode(own: EnforcementMode | None, policy: HasMode | None) -> EnforcementMode:
    """The effective mode of a virtual host: its own, or its policy's. Without a policy, nothing is inspected."""
    if policy is None:
        return EnforcementMode.OFF
    return own or policy.enforcement_mode


def at_path(path: ChoosesPolicy, host: ChoosesPolicy) -> tuple[int | None, EnforcementMode | None]:
    """Policy and own mode of a path: the virtual host's where it has none. A policy of its own comes with that policy's mode."""
    if path.policy_id is not None:
        return path.policy_id, path.enforcement_mode
    return host.policy_id, path.enforcement_mode or host.enforcement_mode


def over_limit_in(over_limit: OverLimit, mode: EnforcementMode) -> OverLimit:
    """What the choice means in this mode. Never returns BY_MODE."""
    if over_limit is OverLimit.BY_MODE:
        return OverLimit.REFUSE if mode is EnforcementMode.BLOCK else OverLimit.PASS
    return over_limit


class StreamedResponses(Choice):
    """What happens to an inspected response that is incomplete when the policy's time is up."""

    JUDGE_BEGINNING = (
        "judge_beginning",
        "Inspect what arrived, then stream",
        "What leaks later in a streamed page is missed.",
    )
    HOLD_BACK = "hold_back", "Apply the fail mode", "503, or they pass. Streamed pages fail in mode Block."
