"""An engine's refusal in terms of the form: each complaint at the field of the thing that was being changed."""

from guardpanel.errors import ConfigRejected, FieldError, Finding
from guardpanel.services.change import Change


def at_fields(rejected: ConfigRejected, change: Change) -> ConfigRejected:
    """The same refusal with each finding at its field."""
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
    )
