"""Why an address is rejected, as JSON, with the operation that undoes just that."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from guardpanel.api.documented import also
from guardpanel.api.saves import Body
from guardpanel.dependencies import Editor, PanelDep, RowId, SessionDep, Viewer
from guardpanel.models.access.address_list import ListKind
from guardpanel.models.policies.policy import NOUN
from guardpanel.models.policies.policy_limits import LimitBy
from guardpanel.services.access import access_checks
from guardpanel.services.access.access_checks import Answer, Finding
from guardpanel.services.access.limit_checks import Used

router = APIRouter(tags=["access"], responses=also(503))

Step = Literal["allow_list", "ban", "deny_list", "only_list", "country", "network"]

STEPS: dict[ListKind, Step] = {
    ListKind.ALLOW: "allow_list", ListKind.DENY: "deny_list", ListKind.ONLY: "only_list",
}  # fmt: skip


class UndoOut(BaseModel):
    """An operation that ends just this."""

    method: Literal["DELETE", "POST"]
    path: str
    body: dict[str, Any] | None = Field(description="Null: it has none.")


class OriginOut(BaseModel):
    who: str
    at: datetime
    change_id: int | None = Field(description="In the history. Null: it is no configuration.")


class FindingOut(BaseModel):
    """What contains the address, in effect now, or a list that allows only others (`only_list`)."""

    step: Step
    decides: bool = Field(description="The first that holds everywhere, or on the virtual host of the request.")
    network: str
    ends_at: datetime | None = Field(description="Null: never.")
    comment: str
    origin: OriginOut | None = Field(
        description="Who put it there and when. Null: a feed, or the change is no longer stored."
    )
    ban_id: int | None
    address_list_id: int | None
    policy_id: int | None = Field(description="That rejects the country or network.")
    value: str = Field(description="The country or network: `FR`, `AS64500`, `--` if unknown. Empty for others.")
    virtual_host_ids: list[int] | None = Field(description="Null: it holds on all.")
    paths: list[str] = Field(
        description="Of a list, on which it holds alone, with everything below, or all that begins with `/admin*`. Empty: on all."
    )
    undo: UndoOut | None


class LimitUsed(BaseModel):
    """What HAProxy has counted of the address for a policy's client limits, now."""

    policy_id: int
    limit_by: LimitBy
    key: str = Field(description="By which HAProxy's table counts: the policy's ID, then the client, network or hash.")
    requests: int
    requests_at_once: int
    errors: int
    sent_bytes: int
    is_over: bool = Field(description="The next request would be.")
    undo: UndoOut | None = Field(description="Null: only requests in progress are counted.")


class WhyOut(BaseModel):
    address: str
    request_id: str = Field(description="Empty: an address was asked about.")
    virtual_host_id: int | None = Field(description="Of the request.")
    rejected_at_step: int | None = Field(
        description="Of the order of decisions, if the request itself was rejected for what it was."
    )
    country_and_network: str = Field(description="As HAProxy has them, if a policy asks. Empty: none does.")
    findings: list[FindingOut] = Field(description="In the order in which HAProxy decides.")
    limits: list[LimitUsed]


Q = Query(min_length=1, max_length=200, description="A client IP, or the ID of a request that is among the events.")


@router.get("/api/v1/access/why", name="explain_access", responses=also(404, 507))
async def explain(panel: PanelDep, session: SessionDep, _user: Viewer, q: Annotated[str, Q]) -> WhyOut:
    """Why an address, or the client of a request, is rejected or not, as the running HAProxy has it now."""
    geo_dir = panel.settings.geo_dir
    answer = await access_checks.why(session, panel.engines, panel.events, q, geo_dir)
    return WhyOut(
        address=answer.address,
        request_id=answer.request_id,
        virtual_host_id=answer.virtual_host_id or None,
        rejected_at_step=answer.rejecting_step,
        country_and_network=answer.where.words,
        findings=list(_findings(answer)),
        limits=[_limit(used, answer.request_id or answer.address) for used in answer.limits],
    )


def _findings(answer: Answer) -> Iterator[FindingOut]:
    decides = answer.decides
    for finding in answer.findings:
        place, origin = finding.place, finding.origin
        yield FindingOut(
            step=_step(finding),
            decides=finding is decides,
            network=finding.network,
            ends_at=finding.ends_at,
            comment=finding.comment,
            origin=OriginOut(who=origin.who, at=origin.at, change_id=origin.change_id) if origin else None,
            ban_id=finding.ban.id if finding.ban else None,
            address_list_id=finding.listed.id if finding.listed else None,
            policy_id=place.policy.id if place else None,
            value=place.value if place else "",
            virtual_host_ids=sorted(finding.virtual_host_ids) if finding.is_partial else None,
            paths=list(finding.paths),
            undo=undo_of(finding, answer.address),
        )


def _step(finding: Finding) -> Step:
    if finding.listed:
        return STEPS[finding.listed.kind]
    return "ban" if finding.place is None else "country" if finding.place.kind == "country" else "network"


def undo_of(finding: Finding, address: str) -> UndoOut | None:
    """Where something else fills the list, or a policy rejects all visitors from there: to allow this address."""
    if finding.ban:
        return UndoOut(method="DELETE", path=f"/api/v1/bans/{finding.ban.id}", body=None)
    listed = finding.listed
    if listed and not listed.is_fed and finding.is_absence:
        path = f"/api/v1/address-lists/{listed.id}/entries"
        return UndoOut(method="POST", path=path, body={"entries": [address]})
    if listed and not listed.is_fed:
        path = f"/api/v1/address-lists/{listed.id}/entries/{finding.network}"
        return UndoOut(method="DELETE", path=path, body=None)
    if listed and listed.kind is ListKind.ALLOW:
        return None
    body = {"name": f"Allow {address}", "kind": "allow", "entries": address}
    return UndoOut(method="POST", path="/api/v1/address-lists", body=body)


def _limit(used: Used, q: str) -> LimitUsed:
    path = f"/api/v1/{NOUN.api}/{used.policy.id}/forgive"
    undo = UndoOut(method="POST", path=path, body={"q": q}) if used.can_be_forgotten else None
    return LimitUsed(
        policy_id=used.policy.id or 0,
        limit_by=used.policy.limit_by,
        key=used.key,
        requests=used.requests,
        requests_at_once=used.at_once,
        errors=used.errors,
        sent_bytes=used.sent,
        is_over=used.is_over,
        undo=undo,
    )


class ForgiveIn(Body):
    q: str = Field(max_length=200, description="A client IP, or the ID of a request that met a limit.")


class Forgiven(BaseModel):
    policy_id: int
    address: str


@router.post(f"/api/v1/{NOUN.api}/{{policy_id}}/forgive", name="forgive_client", responses=also(404, 507))
async def forgive(policy_id: RowId, body: ForgiveIn, panel: PanelDep, session: SessionDep, _user: Editor) -> Forgiven:
    """Forget what a policy's client limits have counted of an address, and of the header or cookie of a request, so that
    its next requests pass. Bans stay."""
    policy, address = await access_checks.forgive(session, panel.engines, panel.events, policy_id, body.q)
    return Forgiven(policy_id=policy.id or 0, address=address)
