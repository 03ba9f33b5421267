"""Orders of certificates from ACME authorities as JSON."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from guardpanel.api.documented import also
from guardpanel.dependencies import Editor, PanelDep, RowId, SessionDep, Viewer, anew
from guardpanel.models.certificates.issuing import RevocationReason
from guardpanel.panel import Panel
from guardpanel.services.issuing import deeds
from guardpanel.services.issuing.orders import OrderLog

router = APIRouter(prefix="/api/v1/certificates/{certificate_id}", tags=["certificates"], responses=also(409))


class OrderStepOut(BaseModel):
    at: datetime
    words: str
    detail: str = Field(description="The authority’s own words.")
    failed: bool


class OrderOut(BaseModel):
    id: int
    authority: str
    rehearsal: bool = Field(description="At staging: what it issues is not put into use.")
    names: list[str]
    state: str = Field(description="`open`, `issued`, `passed` (at staging), `failed` or `canceled`.")
    started_at: datetime
    ended_at: datetime | None
    next_step_at: datetime | None = Field(description="While it is open.")
    steps: list[OrderStepOut]


class IssuingOut(BaseModel):
    """When the certificate is ordered next, and its last orders, newest first."""

    due_at: datetime | None = Field(description="Null while an order is open, or until somebody asks for one.")
    why: str
    explanation: str = Field(description="The authority’s page about the moment that it suggests.")
    failures: int = Field(description="Consecutive failed orders.")
    account_closed_at: str = Field(description="The authority that closed the account of the last order. Empty: none.")
    orders: list[OrderOut]


class PreflightFinding(BaseModel):
    name: str
    words: str
    certain: bool = Field(description="The authority will see the same. Otherwise it may see more than this machine.")


@router.get("/orders")
async def list_certificate_orders(certificate_id: RowId, session: SessionDep, _user: Viewer) -> IssuingOut:
    await deeds.issued_here(session, certificate_id)
    return await _issuing(session, certificate_id)


@router.post("/orders", status_code=202)
async def order_certificate(certificate_id: RowId, panel: PanelDep, user: Editor) -> IssuingOut:
    """Order it now, without preflight. The order goes on in the background."""
    await deeds.order_now(panel.issuer, certificate_id, user.email)
    return await _begun(panel, certificate_id)


@router.post("/account", status_code=202)
async def register_acme_account_anew(certificate_id: RowId, panel: PanelDep, user: Editor) -> IssuingOut:
    """Use a new account at an authority that closed or rejected the one of the last order, and repeat what failed because
    of it. The account is registered with the next order. If the authority requires an external account, enter one first."""
    await deeds.register_anew(panel.issuer, certificate_id, user.email)
    return await _begun(panel, certificate_id)


@router.post("/orders/{order_id}/cancellation", status_code=202)
async def cancel_certificate_order(certificate_id: RowId, order_id: RowId, panel: PanelDep, user: Editor) -> IssuingOut:
    """Cancel an open order. Its DNS records are removed in the background. It is ordered again when somebody asks for it, or a
    day later if a certificate is in use."""
    await deeds.cancel(panel.issuer, certificate_id, order_id, user.email)
    return await _begun(panel, certificate_id)


@router.get("/preflight", responses=also(502))
async def check_certificate_order(
    certificate_id: RowId, panel: PanelDep, session: SessionDep, _user: Viewer
) -> list[PreflightFinding]:
    """What would keep the authority from issuing, as far as this machine can see. Empty: nothing."""
    await anew(session)
    findings = await deeds.preflight(panel.issuer, certificate_id)
    return [PreflightFinding(name=item.name, words=item.words, certain=item.is_certain) for item in findings]


@router.post("/revocation", status_code=202, responses=also(502))
async def revoke_certificate(
    certificate_id: RowId, panel: PanelDep, user: Editor, reason: RevocationReason = RevocationReason.SUPERSEDED
) -> IssuingOut:
    """Revoke the current certificate. Unless it is no longer used, another one is ordered, which takes its place once it is
    issued."""
    await deeds.revoke(panel.issuer, certificate_id, user.email, reason)
    return await _begun(panel, certificate_id)


async def _begun(panel: Panel, certificate_id: int) -> IssuingOut:
    async with panel.database.read() as session:
        return await _issuing(session, certificate_id)


async def _issuing(session: SessionDep, certificate_id: int) -> IssuingOut:
    issuing = await deeds.issuing_of(session, certificate_id)
    plan = issuing.plan
    return IssuingOut(
        due_at=issuing.due_at, why=plan.why if plan else "", explanation=plan.explanation if plan else "",
        failures=plan.failures if plan else 0, account_closed_at=issuing.closed_at, orders=[_out(log) for log in issuing.logs],
    )  # fmt: skip


def _out(log: OrderLog) -> OrderOut:
    order = log.order
    return OrderOut(
        id=order.id or 0, authority=order.authority, rehearsal=order.is_rehearsal, names=order.names,
        state=log.state, started_at=order.started_at,
        ended_at=order.ended_at, next_step_at=order.next_step_at if log.is_open else None,
        steps=[OrderStepOut(at=step.at, words=step.words, detail=step.detail, failed=step.is_bad) for step in log.steps],
    )  # fmt: skip
