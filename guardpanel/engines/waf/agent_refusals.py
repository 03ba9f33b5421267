"""Maps what the agent rejects to the fields that caused it."""

import json

from guardpanel.bundle import Application
from guardpanel.errors import ConfigRejected, Finding

ENGINE = "Coraza"


def rejected(output: str, validated: list[Application]) -> ConfigRejected:
    """Findings from the agent's JSON verdict: a line within an application maps to a field of its policy."""
    by_name = {app.name: app for app in validated}
    findings = []
    try:
        refusal = json.loads(output[output.index("{") :].strip().splitlines()[0])
    except (ValueError, IndexError):
        refusal = {}
    for error in refusal.get("errors") or []:
        application = by_name.get(error.get("application", ""))
        line = int(error.get("line") or 0)
        origin = application.origins.get(line) if application else None
        noun_id = origin.id if origin else (application.policy_ids[0] if application else None)
        findings.append(
            Finding(
                ENGINE,
                str(error.get("message", "")),
                f"application {error.get('application')}",
                line or None,
                origin.noun if origin else "policy" if noun_id else None,
                noun_id,
                origin.field if origin else None,
                f"{ENGINE} does not accept line {origin.typed_line}." if origin and origin.typed_line else "",
            )
        )
    return ConfigRejected("Coraza rejected this change.", engine=ENGINE, output=output, findings=findings)
