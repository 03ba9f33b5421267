"""Rejections above a form: who rejected it, what is live, a link to each field, and the steps."""

from typing import Any

from pydantic import BaseModel

from guardpanel.dependencies import SessionDep
from guardpanel.errors import (
    ConfigRejected,
    Drifted,
    HostnameTakeover,
    Invalid,
    NeedsConfirmation,
    NotFound,
    Problem,
    RollbackFailed,
    RolledBack,
    Stale,
)
from guardpanel.models import NOUNS
from guardpanel.models.meta import label
from guardpanel.services.saving import revisions
from guardpanel.views.formats import counted
from guardpanel.views.forms import Form
from guardpanel.views.steps import shown_steps


async def refused(
    session: SessionDep, problem: Problem | None, model: type[BaseModel], form: Form | None = None
) -> dict[str, Any] | None:
    """The summary of a rejection. An outdated form has its own box. What was confirmed before needs no second confirmation."""
    if problem is None or isinstance(problem, Stale | NotFound):
        return None
    summary = refusal(problem, await live_number(session), model)
    if form:
        summary["links"] = in_page_order(summary["links"], form)
    if summary["confirm"] and form:
        given = [confirmation["name"] for confirmation in CONFIRMATIONS if form.checked(confirmation["name"])]
        summary["confirm"] = summary["confirm"] | {"given": given}
    return summary


def in_page_order(links: list[dict[str, str]], form: Form) -> list[dict[str, str]]:
    """Browsers send fields in the order of the page. Fields that they do not send, and other links, come last."""
    places = {f"#f-{name}": place for place, name in enumerate(form.typed)}
    return sorted(links, key=lambda link: places.get(link["url"], len(places)))


async def live_number(session: SessionDep) -> int | None:
    live = await revisions.named_live(session)
    return live.id if live else None


def refusal(problem: Problem, live: int | None, model: type[BaseModel] | None = None) -> dict[str, Any]:
    """The summary above a rejected form: who rejected it, what is live, and a link to each field."""
    still = f"Revision {live} is still live." if live else ""
    usual: dict[str, Any] = {
        "title": title_of(problem),
        "text": f"Nothing was saved. {still}",
        "links": [
            {"label": f"{label(model, name)}: {error.message}", "url": f"#f-{name}"}
            for name, error in problem.errors.items()
        ],
        "raw": "",
        "raw_title": "",
        "rolled_back": False,
        "confirm": None,
        "steps": None,
    }
    return usual | _of_kind(problem, still, usual["links"])


def elsewhere(rejected: ConfigRejected) -> list[dict[str, str]]:
    """A link to each row that an engine complains about and that is not in the form."""
    rows = {
        (finding.noun, finding.noun_id): finding.message
        for finding in reversed(rejected.findings)
        if finding.noun and finding.noun_id and finding.field not in rejected.errors and not NOUNS[finding.noun].parent
    }
    return [
        {"label": f"{NOUNS[key].word} {noun_id}: {message}", "url": NOUNS[key].url(noun_id)}
        for (key, noun_id), message in reversed(rows.items())
    ]


def _of_kind(problem: Problem, still: str, links: list[dict[str, str]]) -> dict[str, Any]:
    """Texts that differ from the default."""
    match problem:
        case ConfigRejected():
            return {
                "title": f"{problem.engine} rejected this change",
                "raw": problem.output,
                "raw_title": f"{problem.engine} output",
                "links": links + elsewhere(problem),
            }
        case RolledBack() | RollbackFailed():
            return {
                "title": "Rolled back: the change could not be verified"
                if isinstance(problem, RolledBack)
                else "This change failed",
                "text": problem.message,
                "raw": problem.evidence,
                "raw_title": "Evidence",
                "rolled_back": isinstance(problem, RolledBack),
                "steps": shown_steps(problem.steps),
            }
        case Invalid():
            return {}
        case Drifted():
            words = f"{problem.message} Nothing was saved."
            return {"title": "Configuration was changed outside guardpanel", "text": words, "confirm": OVER_DRIFT}
        case NeedsConfirmation():
            words = f"{problem.message} Nothing was saved."
            return {"title": "Save it anyway?", "text": words, "links": [], "confirm": SAVE_ANYWAY}
        case HostnameTakeover():
            return {
                "title": "Another virtual host takes over",
                "text": f"{problem.message} Nothing was saved.",
                "confirm": HAND_OVER,
            }
    return {"title": problem.message, "text": f"Nothing was saved. {still}"}


def title_of(problem: Problem) -> str:
    count = len(problem.errors)
    if not count:
        return "Check the fields below"
    return f"{counted(count, 'field')} need{'' if count > 1 else 's'} attention"


OVER_DRIFT = {
    "name": "over_drift",
    "label": "Save and overwrite it",
    "url": "/system/drift",
    "link": "View differences",
}
HAND_OVER = {"name": "hand_over", "label": "Save and hand over"}
SAVE_ANYWAY = {"name": "save_anyway", "label": "Save anyway"}
CONFIRMATIONS = (OVER_DRIFT, HAND_OVER, SAVE_ANYWAY)
"Buttons that submit the form again with a confirmation."
