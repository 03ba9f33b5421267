"""What the page of a fix shows as it becomes known: the verdict, the ladder rung by rung, and what else a rung does."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.errors import EngineUnavailable, NotFound
from guardpanel.panel import Panel
from guardpanel.services.fixes import cases, trial, words
from guardpanel.services.fixes.cases import Case
from guardpanel.services.fixes.ladder import Ladder, Rung
from guardpanel.services.fixes.widths import Width
from guardpanel.views import fix_parts
from guardpanel.views.answers import page
from guardpanel.views.streams import part, stream

router = APIRouter(prefix="/events/{request_id}/fix")


@router.get("/ladder")
async def show_ladder(
    request_id: str, panel: PanelDep, session: SessionDep, _viewer: Viewer, width: str = ""
) -> Response:
    """The verdict as the policy is now, then the rungs. `width`: of the one that is chosen, if it works."""
    case = await cases.open_case(panel.changes, panel.events, session, request_id)
    return stream(_ladder(panel, case, width))


@router.get("/rung")
async def show_rung(
    request: Request, request_id: str, panel: PanelDep, session: SessionDep, _viewer: Viewer, width: str = ""
) -> Response:
    """One rung: what a choice of the ladder shows."""
    case = await cases.open_case(panel.changes, panel.events, session, request_id)
    ladder, rung = await _one(panel, case, width)
    return await page(request, "events/_fix_rung.html", {"rung": fix_parts.context(case, ladder, rung)})


@router.get("/findings")
async def show_findings(
    request_id: str, panel: PanelDep, session: SessionDep, _viewer: Viewer, width: str = ""
) -> Response:
    """What else a rung does."""
    case = await cases.open_case(panel.changes, panel.events, session, request_id)
    return stream(_findings(panel, case, width))


async def _one(panel: Panel, case: Case, width: str) -> tuple[Ladder, Rung]:
    ladder = await cases.ladder(panel.changes, case, [item for item in Width if item == width])
    rung = ladder.rung(width)
    if rung is None:
        raise NotFound("There is no such fix for this event.")
    return ladder, rung


async def _ladder(panel: Panel, case: Case, width: str) -> AsyncGenerator[bytes]:
    rungs: list[Rung] = []
    is_chosen = False
    try:
        climb = await cases.climb(panel.changes, case)
        ladder = climb.ladder(())
        yield part("before", fix_parts.html("before", ladder=ladder, verdict=words.verdict(ladder.before)))
        async with aclosing(climb.each()) as each:
            async for rung in each:
                rungs.append(rung)
                chosen = rung.works and not is_chosen and width in {"", rung.width.value}
                yield part(
                    "rungs",
                    fix_parts.html("choice", rung=fix_parts.choice(case, ladder, rung, is_chosen=chosen)),
                    "append",
                )
                if chosen:
                    is_chosen = True
                    yield part("rung", fix_parts.html("rung", rung=fix_parts.context(case, ladder, rung)))
                    yield part("apply", way="show")
        yield part("ladder-state", fix_parts.html("state", ladder=climb.ladder(rungs), problem="", case=case))
    except EngineUnavailable as reason:
        yield part("ladder-state", fix_parts.html("state", ladder=None, problem=reason.message, case=case))


async def _findings(panel: Panel, case: Case, width: str) -> AsyncGenerator[bytes]:
    try:
        ladder, rung = await _one(panel, case, width)
        async with aclosing(trial.run(panel.changes, panel.events, case, ladder, rung)) as steps:
            async for findings in steps:
                context = fix_parts.context(case, ladder, rung, findings)
                yield part("findings", fix_parts.html("findings", rung=context))
    except (EngineUnavailable, NotFound) as reason:
        problem = {"findings": trial.Findings(problem=reason.message), "subject": "", "works": False}
        yield part("findings", fix_parts.html("findings", rung=problem))
