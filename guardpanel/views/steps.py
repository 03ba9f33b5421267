"""The steps of a save in words."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from guardpanel.errors import Step
from guardpanel.services.saving.progress import GROUP


class Words(NamedTuple):
    waiting: str
    now: str
    done: str
    failed: str


WORDS = {
    "render": Words("Render", "Rendering", "Rendered", "Rendering failed"),
    "check": Words("Check", "Checking", "Checked", "Check failed"),
    "reload": Words("Reload", "Reloading", "Reloaded", "Reload failed"),
    "verify": Words("Verify", "Verifying", "Verified", "Verification failed"),
    "roll back": Words("Roll back", "Rolling back", "Rolled back", "Rollback failed"),
}


def shown_steps(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """As they went, with what belongs together as one."""
    rows: dict[str, dict[str, Any]] = {}
    for step in steps:
        name = step.name if step.name in WORDS else GROUP.get(step.name, step.name)
        words = WORDS.get(name, Words(name, name, name, name))
        row = rows.setdefault(name, {"state": "done", "text": words.done, "seconds": 0.0})
        row["seconds"] = round(row["seconds"] + step.seconds, 2)
        if step.error:
            row["state"], row["text"] = "failed", words.failed
        elif name == "roll back":
            row["state"] = "back"
    return list(rows.values())
