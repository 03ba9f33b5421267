"""Words for the steps of a save, and for a change that needs none."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from guardpanel.errors import Step
from guardpanel.services.saving.progress import GROUP, READ, Progress
from guardpanel.views.formats import seconds


class StepWords(NamedTuple):
    waiting: str
    now: str
    done: str
    failed: str


WORDS = {
    "read": StepWords("Read", "Reading", "Read", "Reading failed"),
    "render": StepWords("Render", "Rendering", "Rendered", "Rendering failed"),
    "check": StepWords("Check", "Checking", "Checked", "Check failed"),
    "reload": StepWords("Reload", "Reloading", "Reloaded", "Reload failed"),
    "swap": StepWords("Swap", "Swapping the certificate", "Swapped without a reload", "Not swapped without a reload"),
    "verify": StepWords("Verify", "Verifying", "Verified", "Verification failed"),
    "roll back": StepWords("Roll back", "Rolling back", "Rolled back", "Rollback failed"),
}


STATES = ("waiting", "now", "done", "failed")
"As `StepWords` has them."


def steps_of(progress: Progress) -> list[dict[str, Any]]:
    """Of a save, so far, and of reading its input how far that is."""
    steps = [
        {
            "state": state,
            "text": WORDS[name][STATES.index(state)],
            "seconds": None if spent is None else seconds(spent),
        }
        for name, state, spent in progress.summary()
    ]
    line, total = progress.lines
    if progress.running == READ:
        steps[0]["text"] = f"Reading, {line:,} of {total:,} lines"
    return steps


def live_or_waiting(is_live: bool) -> str:
    """What becomes of a change that needs no release: a ban, or a feed's download."""
    return "Live" if is_live else "HAProxy is not responding: live as soon as it does"


def shown_steps(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The steps as they happened, with related ones grouped."""
    rows: dict[str, dict[str, Any]] = {}
    for step in steps:
        name = step.name if step.name in WORDS else GROUP.get(step.name, step.name)
        words = WORDS.get(name, StepWords(name, name, name, name))
        row = rows.setdefault(name, {"state": "done", "text": words.done, "seconds": 0.0})
        row["seconds"] = round(row["seconds"] + step.seconds, 2)
        if step.error:
            row["state"], row["text"] = "failed", f"{words.failed}: {step.error}" if name == "swap" else words.failed
        elif name == "roll back":
            row["state"] = "back"
    return list(rows.values())
