"""The parts of the page of a fix, whether it is shown whole or part by part."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from guardpanel.services.fixes import applying, widths, words
from guardpanel.services.fixes.cases import Case
from guardpanel.services.fixes.ladder import Ladder, Rung
from guardpanel.services.fixes.trial import Findings
from guardpanel.views.answers import environment

PLACES = {"field": "Inside what it frees", "neighbor": "In another field", "path": "On another path"}


def html(name: str, **context: Any) -> str:
    return environment().get_template(f"events/_fix_{name}.html").render(context)


def choice(case: Case, ladder: Ladder, rung: Rung, *, is_chosen: bool) -> Mapping[str, Any]:
    """A rung in the ladder."""
    return {
        "width": rung.width.value, "title": words.title(rung, case), "scope": words.scope(rung.draft), "works": rung.works,
        "problem": rung.problem, "scores": words.scores(ladder.before, rung.evaluation), "is_chosen": is_chosen,
        "meter": widths.meter(rung.width), "boxes": widths.METER, "subject": words.subject(case),
        "url": f"/events/{quote(case.event.item.request_id)}/fix",
    }  # fmt: skip


def context(case: Case, ladder: Ladder, rung: Rung, findings: Findings | None = None) -> Mapping[str, Any]:
    """A rung with what it does. Without findings, they follow in a stream of their own."""
    return {
        "case": case, "scores": words.scores(ladder.before, rung.evaluation), "width": rung.width.value,
        "works": rung.works, "problem": rung.problem,
        "effects": words.effects(rung.draft, case), "prices": words.prices(rung, case),
        "seclang": words.seclang(rung.draft, case.policy.id or 0), "draft": applying.digest(rung.draft),
        "subject": words.subject(case), "findings": findings or Findings(), "places": PLACES,
        "follows": rung.works and findings is None,
    }  # fmt: skip
