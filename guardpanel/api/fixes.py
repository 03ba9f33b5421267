"""Fixes of false positives: the ladder of an event, and one of its rungs applied."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from guardpanel.api.documented import also
from guardpanel.api.saves import Body, DeploymentOut, SaveRequestDep
from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.engines.waf.evaluation import Evaluation
from guardpanel.services.fixes import applying, cases, live_proof, trial, words
from guardpanel.services.fixes.applying import FixFields
from guardpanel.services.fixes.attacks import Place
from guardpanel.services.fixes.cases import Case
from guardpanel.services.fixes.ladder import Ladder, Rung
from guardpanel.services.fixes.others import MOST_EVENTS, MOST_ORDINARY, Others
from guardpanel.services.fixes.siblings import MOST
from guardpanel.services.fixes.trial import Findings
from guardpanel.services.fixes.widths import Width
from guardpanel.services.input import validated

router = APIRouter(prefix="/api/v1/events", tags=["events"])


class VerdictOut(BaseModel):
    verdict: str = Field(
        description="`pass`, `detected` (rules fired below the threshold) or `blocked`, in mode Block."
    )
    score: int
    threshold: int
    rules: list[int] = Field(description="Rules that fired.")

    @classmethod
    def of(cls, evaluation: Evaluation) -> "VerdictOut":
        return cls(
            verdict=evaluation.verdict,
            score=evaluation.score,
            threshold=evaluation.threshold,
            rules=[rule.id for rule in evaluation.rules],
        )


class RowOut(BaseModel):
    noun: str = Field(description="`rule_exclusion`, `rule_override`, …")
    fields: dict[str, Any] = Field(description="As its endpoint takes them.")


class RungOut(BaseModel):
    width: Width
    title: str
    works: bool = Field(description="Whether the request passes with it. Only such a rung can be applied.")
    problem: str = Field(description="Why not. Empty if it works.")
    verdict: VerdictOut | None
    effects: list[str]
    prices: list[str] = Field(description="What else passes with it.")
    policy_changes: dict[str, Any]
    rows: list[RowOut]
    seclang: str = Field(description="Its exclusions and body readings, as the WAF agent gets them.")
    draft: str = Field(description="Identifies what was tried; send it back to apply exactly that.")

    @classmethod
    def of(cls, rung: Rung, case: Case) -> "RungOut":
        draft = rung.draft
        return cls(
            width=rung.width,
            title=words.title(rung, case),
            works=rung.works,
            problem=rung.problem,
            verdict=VerdictOut.of(rung.evaluation) if rung.evaluation else None,
            effects=words.effects(draft, case),
            prices=words.prices(rung, case),
            policy_changes=dict(draft.policy),
            rows=[RowOut(noun=key, fields=fields.model_dump(mode="json")) for key, fields in draft.rows],
            seclang=words.seclang(draft, case.policy.id or 0),
            draft=applying.digest(draft),
        )


class AttacksOut(BaseModel):
    place: Place = Field(
        description="`field`: in what the fix frees. `neighbor`: in another field. `path`: on another path."
    )
    tried: int = Field(description="Attacks that the policy blocks without the fix.")
    blocked: int = Field(description="Of them, those still blocked with it.")
    passing: list[str] = Field(description="The others.")


class SiblingsOut(BaseModel):
    tried: int = Field(description=f"The newest other events of the group, {MOST} at most.")
    passing: int
    incomplete: int = Field(description="Of those tried, events whose request is masked or truncated.")


class OtherEventOut(BaseModel):
    request_id: str
    method: str
    path: str
    rules: list[int]


class OtherRequestOut(BaseModel):
    method: str
    uri: str = Field(description="As it was recorded: with other values of the same shape.")
    at: datetime


class OthersOut(BaseModel):
    ordinary: int = Field(
        description=f"Recorded ordinary requests that were tried: the newest {MOST_ORDINARY} at most."
    )
    unfaithful: int = Field(description="Of them, those that are not evaluated as the real request was.")
    newly_blocked: list[OtherRequestOut] = Field(description="Of the ordinary ones, those that the fix would block.")
    events: int = Field(description=f"Events of other groups that were tried: of the newest {MOST_EVENTS}.")
    unfaithful_events: int = Field(description="Of them, those whose request passes without the fix, too.")
    newly_passing: list[OtherEventOut] = Field(description="Of those events, the ones that the fix lets pass, too.")

    @classmethod
    def of(cls, others: Others) -> "OthersOut":
        return cls(
            ordinary=others.ordinary,
            unfaithful=others.unfaithful,
            newly_blocked=[
                OtherRequestOut(method=event.method, uri=event.uri, at=event.at) for event in others.newly_blocked
            ],
            events=others.events,
            unfaithful_events=others.unfaithful_events,
            newly_passing=[
                OtherEventOut(request_id=item.request_id, method=item.method, path=item.path, rules=list(item.rules))
                for item in others.newly_passing
            ],
        )


class LadderOut(BaseModel):
    request_id: str
    policy_id: int
    vhost_id: int
    before: VerdictOut = Field(description="On the request as the policy is now.")
    gaps: list[str] = Field(description="What of the request the event does not have, so that it cannot be tried.")
    missing: list[int] = Field(
        description="Rules that fired on what the event does not have. The fix excludes them untried."
    )
    narrowest: Width | None = Field(description="The narrowest rung that works.")
    attacks: list[AttacksOut] = Field(description="Tried with the narrowest rung. Empty without one.")
    siblings: SiblingsOut | None = Field(description="Other events of the group, tried with the narrowest rung.")
    others: OthersOut | None = Field(description="Other requests of the virtual host, tried with the narrowest rung.")
    untried: str = Field(description="Why attacks and other requests could not all be tried. Empty if they were.")
    rungs: list[RungOut] = Field(description="Narrowest first.")

    @classmethod
    def of(cls, case: Case, ladder: Ladder, findings: Findings) -> "LadderOut":
        return cls(
            request_id=case.event.item.request_id,
            policy_id=case.policy.id or 0,
            vhost_id=case.virtual_host.id or 0,
            before=VerdictOut.of(ladder.before),
            gaps=list(case.request.gaps),
            missing=list(ladder.missing),
            narrowest=ladder.chosen.width if ladder.chosen else None,
            attacks=[AttacksOut(**asdict(tally)) for tally in findings.attacks or ()],
            siblings=SiblingsOut(**asdict(findings.siblings)) if findings.siblings else None,
            others=OthersOut.of(findings.others) if findings.others else None,
            untried=findings.problem,
            rungs=[RungOut.of(rung, case) for rung in ladder.rungs],
        )


class FixBody(Body):
    NULLABLE = frozenset({"ends_on"})

    width: Width = Field(description="Of the rung that is applied.")
    draft: str = Field(default="", max_length=64, description="The rung’s `draft`. If it is another one by now: 409.")
    reason: str = ""
    owner: str = Field(default="", description="Defaults to your email address.")
    ends_on: str | None = Field(default=None, description="Last day (UTC), for example 2026-12-31.")


class ProofOut(BaseModel):
    verified: bool = Field(
        description="The request passes and every attack is blocked. If false, the fix is live all the same: undo it."
    )
    passes: bool = Field(description="Whether the live application lets the event’s request pass.")
    tried: int = Field(description="Attacks beside the fix. 0 unless the mode is Block.")
    blocked: int = Field(
        description="Of them, those that the first listener blocked. Those that would pass are not sent."
    )
    message: str


class FixedOut(BaseModel):
    policy_id: int
    deployment: DeploymentOut
    proof: ProofOut
    change_id: int = Field(description="Undo it by restoring what was before this change.")


@router.get("/{request_id}/fix", responses=also(409, 503, 507))
async def read_fix(
    request_id: str,
    panel: PanelDep,
    session: SessionDep,
    _user: Viewer,
    findings: Annotated[bool, Query(description="Also try attacks and other requests with the narrowest rung.")] = True,
) -> LadderOut:
    """How such requests can pass: from the narrowest change to the widest, each tried by the WAF agent."""
    case = await cases.open_case(panel.changes, panel.events, session, request_id)
    ladder = await cases.ladder(panel.changes, case)
    if (rung := ladder.chosen) is None or not findings:
        return LadderOut.of(case, ladder, Findings())
    return LadderOut.of(case, ladder, await trial.whole(panel.changes, panel.events, case, ladder, rung))


@router.post("/{request_id}/fix")
async def apply_fix(
    request_id: str, body: FixBody, panel: PanelDep, session: SessionDep, request: SaveRequestDep
) -> FixedOut:
    """Save a rung and make it live."""
    fields = validated(FixFields, body.model_dump(include=set(FixFields.model_fields)))
    case = await cases.open_case(panel.changes, panel.events, session, request_id)
    ladder = await cases.ladder(panel.changes, case)
    rung = applying.require(ladder.rung(body.width), body.draft)
    saved = await applying.apply(panel.changes, request, case, rung, fields)
    proof = await live_proof.prove(panel.changes, session, case, ladder)
    return FixedOut(
        policy_id=case.ground.policy_id,
        deployment=DeploymentOut.of(saved),
        proof=ProofOut(
            verified=proof.holds,
            passes=proof.passes,
            tried=proof.tried,
            blocked=proof.blocked,
            message=proof.sentence,
        ),
        change_id=saved.change_id,
    )
