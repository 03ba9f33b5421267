"""What can go wrong, in our own words.

A `Problem` is raised where the fault is learned of and travels untouched to `app.py`, the one place that
turns it into an HTML page or an RFC 9457 problem document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field: our words and, where an engine said so, its words and their place."""

    message: str
    engine: str | None = None
    where: str | None = None
    "For instance `haproxy.cfg line 212`."


FieldErrors = Mapping[str, FieldError]
"By dotted field name: `servers.0.address`."


class Problem(Exception):
    """A fault with words for the operator. `status` is the HTTP status, `code` is stable for programs."""

    status = 500
    code = "internal_error"

    def __init__(self, message: str, errors: FieldErrors | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.errors: FieldErrors = errors or {}


class Unauthorized(Problem):
    status = 401
    code = "unauthorized"


class Forbidden(Problem):
    status = 403
    code = "forbidden"


class NotFound(Problem):
    status = 404
    code = "not_found"


class Conflict(Problem):
    """The request contradicts what is there: a name that is taken, a thing that is in use."""

    status = 409
    code = "conflict"


class Busy(Conflict):
    """Another process holds the one lock of every save."""

    code = "busy"


class Drifted(Conflict):
    """Configuration was changed outside guardpanel; a save would overwrite that and has to be asked for again."""

    code = "drift"


class HandsOver(Conflict):
    """A form takes names away that another virtual host's wildcard then answers; it has to be sent once more."""

    code = "hands_over"


class Stale(Problem):
    """The row changed since the form was opened. `current` is its version now, where that is known."""

    status = 412
    code = "stale"

    def __init__(self, message: str, current: int | None = None) -> None:
        super().__init__(message)
        self.current = current


class Invalid(Problem):
    """The input is refused; `errors` says which field and why."""

    status = 422
    code = "invalid"

    @classmethod
    def at(cls, name: str, message: str) -> "Invalid":
        return cls(message, {name: FieldError(message)})


class TooManyAttempts(Problem):
    status = 429
    code = "too_many_attempts"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageFailed(Problem):
    """The disk or the database takes no writes: full, read-only, broken. What runs goes on."""

    status = 507
    code = "storage_failed"


class EngineUnavailable(Problem):
    """An engine does not answer: not started, still starting, or stopped."""

    status = 503
    code = "engine_unavailable"


class EngineSilent(EngineUnavailable):
    """It took the question and gave no response in time: it hangs, or it is slow."""


@dataclass(frozen=True)
class Finding:
    """One complaint of an engine about a staged file. `line` is 1-based; None where the engine gave none."""

    engine: str
    message: str
    file: str | None = None
    line: int | None = None
    noun: str | None = None
    noun_id: int | None = None
    field: str | None = None
    advice: str = ""
    "Our words for the operator; the engine's stand in `message`."

    @property
    def where(self) -> str | None:
        if self.file is None:
            return None
        return f"{self.file} line {self.line}" if self.line else self.file


class ConfigRejected(Problem):
    """An engine's own check refused the staged configuration. Nothing was saved."""

    status = 422
    code = "config_rejected"

    def __init__(
        self,
        message: str,
        *,
        engine: str,
        output: str,
        findings: Sequence[Finding] = (),
        errors: FieldErrors | None = None,
    ) -> None:
        super().__init__(message, errors)
        self.engine = engine
        self.output = output
        self.findings = tuple(findings)


@dataclass(frozen=True)
class Step:
    """One step of a deployment that is over: `error` is None where it went well."""

    name: str
    seconds: float
    error: str | None = None


class DeploymentFailed(Problem):
    """The configuration passed its check but could not be proved live. `evidence` is what was seen."""

    status = 502
    code = "deployment_failed"

    def __init__(self, message: str, *, step: str, evidence: str = "") -> None:
        super().__init__(message)
        self.step = step
        self.evidence = evidence


class RolledBack(Problem):
    """The new configuration did not go live; the one before it is live again and nothing was saved."""

    status = 502
    code = "rolled_back"

    def __init__(self, message: str, *, steps: Sequence[Step], evidence: str) -> None:
        super().__init__(message)
        self.steps = tuple(steps)
        self.evidence = evidence


class RollbackFailed(Problem):
    """Neither the new configuration nor the one before it could be proved live."""

    status = 500
    code = "rollback_failed"

    def __init__(self, message: str, *, steps: Sequence[Step], evidence: str) -> None:
        super().__init__(message)
        self.steps = tuple(steps)
        self.evidence = evidence
