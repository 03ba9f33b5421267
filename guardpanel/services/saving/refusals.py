"""Rejections in terms of the form: each complaint of an engine or a rule, at the field that was being changed."""

from collections.abc import Sequence

from guardpanel.errors import EXISTS, ConfigRejected, Conflict, FieldError, Finding, Invalid, Problem
from guardpanel.field_codes import FieldCode
from guardpanel.services.saving.change import Change
from guardpanel.services.saving.proposal import Violation

MOST = 3
"Violations that are listed. A restored backup may have hundreds."


def at_fields(rejected: ConfigRejected, change: Change) -> ConfigRejected:
    """The same rejection, with each finding at its field."""
    errors: dict[str, FieldError] = {}
    for finding in rejected.findings:
        if finding.field and finding.noun == change.noun and finding.noun_id == change.noun_id:
            errors.setdefault(finding.field, field_error(finding))
    return ConfigRejected(
        rejected.message,
        engine=rejected.engine,
        output=rejected.output,
        findings=rejected.findings,
        errors={**errors, **rejected.errors},
    )


def field_error(finding: Finding) -> FieldError:
    return FieldError(
        finding.advice or f"{finding.engine} does not accept this.",
        f"{finding.engine}: “{finding.message}”",
        finding.where,
        FieldCode.REJECTED_BY_ENGINE,
    )


def of_rules(violations: Sequence[Violation], change: Change) -> Problem:
    """Invalid (422) with a message at each field that is being edited, or Conflict (409) for a duplicate. Conflict in sentences
    for everything else."""
    own = [
        violation
        for violation in violations
        if violation.field and (violation.noun, violation.noun_id) == (change.noun, change.noun_id)
    ]
    if change.is_restore or len(own) < len(violations):
        problem = Conflict(_sentences(violations))
        problem.findings = [_finding(violation) for violation in violations]
        return problem
    broken: dict[str, list[Violation]] = {}
    for violation in own:
        broken.setdefault(violation.field, []).append(violation)
    errors = {
        field: FieldError(" ".join(violation.message for violation in those), code=those[0].code)
        for field, those in broken.items()
    }
    if any(violation.code is FieldCode.TAKEN for violation in own):
        return Conflict(EXISTS, errors)
    return Invalid.of(errors)


def _finding(violation: Violation) -> Finding:
    key = violation.noun, violation.noun_id
    return Finding("", violation.message, None, None, *key, violation.field, title=violation.title, code=violation.code)


def _sentences(violations: Sequence[Violation]) -> str:
    more = [f"And {len(violations) - MOST:,} more."] if len(violations) > MOST else []
    return " ".join([*(violation.sentence for violation in violations[:MOST]), *more])
