"""What can go wrong, in our own words.

A `Problem` travels unchanged to `app.py`, the one place that turns it into an HTML page or an RFC 9457 problem document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from guardpanel.field_codes import FieldCode, Part


@dataclass(frozen=True)
class FieldError:
    """A field's error: our message and, if an engine reported it, its message and location (`haproxy.cfg line 212`)."""

    message: str
    engine: str | None = None
    where: str | None = None
    code: FieldCode = FieldCode.INVALID
    part: Part | None = None
    "Of the request. None: the body, or the query of a request without one."
    keys: tuple[str, ...] = ()
    "That lead to it, if its dotted name does not say: a key may contain dots, too."


FieldErrors = Mapping[str, FieldError]
"By dotted field name: `servers.0.address`."

AT_FIELDS, EXISTS = "Check the fields below.", "This exists already."
"What introduces the errors of fields, and adds nothing to them."


class Problem(Exception):
    """An error with a message for the operator. `code` is stable for programs. `title`: if the status says too little."""

    status = 500
    code = "internal_error"
    title = ""

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
    """The request conflicts with the current state: a name is taken, or a row is in use."""

    status = 409
    code = "conflict"
    findings: Sequence["Finding"] = ()
    "What contradicts it, if that is said in sentences only: with the row and field of each."


class NothingNew(Conflict):
    """A file that says what is there already: there is nothing to save."""

    code = "nothing_new"


class Busy(Conflict):
    """Another process holds the lock of all saves."""

    code = "busy"


class Drifted(Conflict):
    """Configuration was changed outside guardpanel. A save would overwrite that and must be confirmed."""

    code = "drift"


class HostnameTakeover(Conflict):
    """A form removes hostnames that another virtual host's wildcard would take over. It must be confirmed."""

    code = "hands_over"


class NeedsConfirmation(Conflict):
    """Accepted once the operator confirms the warnings, which are in `errors`. `form`: the page where people can."""

    code, form = "needs_confirmation", ""

    def __init__(self, message: str, errors: FieldErrors | None = None) -> None:
        code = FieldCode.NEEDS_CONFIRMATION
        super().__init__(message, {name: replace(error, code=code) for name, error in (errors or {}).items()})


class Stale(Problem):
    """The row changed since the form was opened. `current` is its version, if known."""

    status = 412
    code = "stale"

    def __init__(self, message: str, current: int | None = None) -> None:
        super().__init__(message)
        self.current = current


class PreconditionRequired(Problem):
    """The API token must name the version that it changes."""

    status = 428
    code = "precondition_required"


class Invalid(Problem):
    """The input is rejected. `errors` has a message for each field."""

    status = 422
    code = "invalid"

    @classmethod
    def at(cls, name: str, message: str, code: FieldCode = FieldCode.INVALID, part: Part | None = None) -> "Invalid":
        return cls(message, {name: FieldError(message, code=code, part=part)})

    @classmethod
    def of(cls, errors: FieldErrors) -> "Invalid":
        """Nothing but these errors, each at its field."""
        return cls(AT_FIELDS, errors)


class TooManyAttempts(Problem):
    status = 429
    code = "too_many_attempts"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageFailed(Problem):
    """The disk or the database cannot be written: full, read-only or broken. The engines keep running."""

    status = 507
    code = "storage_failed"


class EngineUnavailable(Problem):
    """An engine does not respond: not started, still starting, or stopped."""

    status = 503
    code = "engine_unavailable"


class EngineSilent(EngineUnavailable):
    """An engine accepted the connection but did not respond in time: it hangs or is slow."""


@dataclass(frozen=True)
class Finding:
    """An engine's complaint about a staged file. `line` is 1-based. None if the engine gave none."""

    engine: str
    message: str
    file: str | None = None
    line: int | None = None
    noun: str | None = None
    noun_id: int | None = None
    field: str | None = None
    advice: str = ""
    "Our message for the operator. `message` has the engine's."
    title: str | None = None  # Of the row: `Policy Strict`.
    code: FieldCode = FieldCode.INVALID

    @property
    def where(self) -> str | None:
        return f"{self.file} line {self.line}" if self.file and self.line else self.file


class ConfigRejected(Problem):
    """An engine's check rejected the staged configuration. Nothing was saved."""

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
    """A completed step of a deployment. `error` is None if it succeeded."""

    name: str
    seconds: float
    error: str | None = None


class DeploymentFailed(Problem):
    """The configuration passed its check but could not be verified live. `evidence` is what was observed."""

    status = 502
    code = "deployment_failed"

    def __init__(self, message: str, *, step: str, evidence: str = "") -> None:
        super().__init__(message)
        self.step = step
        self.evidence = evidence


class RolledBack(Problem):
    """The new configuration did not go live. The previous one is live again, and nothing was saved."""

    status = 502
    code = "rolled_back"
    title = "Rolled back"

    def __init__(self, message: str, *, steps: Sequence[Step], evidence: str) -> None:
        super().__init__(message)
        self.steps = tuple(steps)
        self.evidence = evidence


class RollbackFailed(Problem):
    """Neither the new configuration nor the previous one could be verified live."""

    status = 500
    code = "rollback_failed"

    def __init__(self, message: str, *, steps: Sequence[Step], evidence: str) -> None:
        super().__init__(message)
        self.steps = tuple(steps)
        self.evidence = evidence
