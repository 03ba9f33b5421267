"""A certificate from an ACME authority: its orders with their steps, ordered now, revoked, and looked at beforehand."""

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response

from guardpanel.acme.order import Phase
from guardpanel.dependencies import Editor, RowId, Viewer, anew
from guardpanel.errors import Conflict, NotFound, Problem
from guardpanel.models.certificates.acme import AcmeStep
from guardpanel.models.certificates.issuing import RevocationReason, authority_name
from guardpanel.services.issuing import deeds
from guardpanel.services.issuing.orders import ORDERING, OrderLog
from guardpanel.views.answers import page, redirect
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.forms import Form

IN_PROGRESS = {
    Phase.NEW: "Asking the authority for an order.",
    Phase.ORDERED: "Reading what the authority wants proved.",
    Phase.PROVING: "Putting the proofs in place.",
    Phase.PROVEN: "Asking the authority to look.",
    Phase.ANSWERED: "Waiting for the authority.",
    Phase.FINALIZED: "Waiting for the authority.",
    Phase.ISSUED: "Putting it into use.",
}
"What comes after the last step."

router = APIRouter(prefix="/certificates/{certificate_id}")


@router.get("/orders")
async def show(certificate_id: RowId, ctx: ContextDep, _viewer: Viewer) -> Response:
    """The orders alone, while one is in progress. Each look is a new one."""
    row = await deeds.issued_here(ctx.session, certificate_id)
    context = {"row": row, **await beside(ctx, certificate_id)}
    return await page(ctx.request, "certificates/orders.html", context, block="orders")


@router.post("/orders")
async def order(certificate_id: RowId, ctx: ContextDep, editor: Editor) -> Response:
    deed = deeds.order_now(ctx.panel.issuer, certificate_id, editor.email)
    return await _done(deed, certificate_id, "Ordering. Its steps are below")


@router.post("/account")
async def register_anew(certificate_id: RowId, ctx: ContextDep, editor: Editor) -> Response:
    deed = deeds.register_anew(ctx.panel.issuer, certificate_id, editor.email)
    return await _done(deed, certificate_id, "Registering another account. Its order is below")


@router.post("/orders/{order_id}/cancel")
async def cancel(certificate_id: RowId, order_id: RowId, ctx: ContextDep, editor: Editor) -> Response:
    deed = deeds.cancel(ctx.panel.issuer, certificate_id, order_id, editor.email)
    return await _done(deed, certificate_id, "Canceled the order")


@router.get("/preflight")
async def preflight(certificate_id: RowId, ctx: ContextDep, _viewer: Viewer) -> Response:
    try:
        row = await deeds.issued_here(ctx.session, certificate_id)
    except Conflict as refused:
        return redirect(f"/certificates/{certificate_id}", refused.message, failed=True)
    await anew(ctx.session)
    findings, problem = [], ""
    try:
        findings = await deeds.preflight(ctx.panel.issuer, certificate_id)
    except Problem as refused:
        problem = refused.message
    context = {"row": row, "authority": authority_name(row.authority), "findings": findings, "problem": problem}
    return await page(ctx.request, "certificates/preflight.html", context)


@router.get("/revoke")
async def confirm(certificate_id: RowId, ctx: ContextDep, _editor: Editor) -> Response:
    try:
        row = await deeds.revocable(ctx.session, certificate_id)
    except Conflict as refused:
        return redirect(f"/certificates/{certificate_id}", refused.message, failed=True)
    context = {
        "row": row,
        "authority": authority_name(row.authority),
        "form": Form({"reason": [RevocationReason.SUPERSEDED]}),
    }
    context["reasons"] = [(reason.value, reason.word, reason.hint) for reason in RevocationReason]
    return await page(ctx.request, "certificates/revoke.html", context)


@router.post("/revoke")
async def revoke(certificate_id: RowId, ctx: ContextDep, editor: Editor) -> Response:
    chosen = (await Form.read(ctx.request)).value("reason")
    if chosen not in set(RevocationReason):
        return redirect(f"/certificates/{certificate_id}/revoke", "Choose why it is revoked", failed=True)
    reason = RevocationReason(chosen)
    another = "" if reason is RevocationReason.NO_LONGER_USED else ". Another one is being ordered"
    deed = deeds.revoke(ctx.panel.issuer, certificate_id, editor.email, reason)
    return await _done(deed, certificate_id, f"Revoked{another}")


async def _done(deed: Awaitable[object], certificate_id: int, words: str) -> Response:
    """Back to the certificate's page, with why it was refused, if it was."""
    url = f"/certificates/{certificate_id}"
    try:
        await deed
    except NotFound:
        raise
    except Problem as problem:
        return redirect(url, problem.message, failed=True)
    return redirect(f"{url}#orders", words)


async def beside(ctx: Context, certificate_id: int) -> dict[str, Any]:
    """What the certificate's page shows of its orders."""
    issuing = await deeds.issuing_of(ctx.session, certificate_id)
    return {
        "issuing": issuing,
        "order_steps": {log.order.id: steps_of(log) for log in issuing.logs},
        "name_of": authority_name,
        "order_reasons": {log.order.id: reason_of(log) for log in issuing.logs},
        "now": datetime.now(UTC),
    }


def reason_of(log: OrderLog) -> str:
    """Why it was ordered. It is no step: nothing is done yet."""
    first = log.steps[0].words if log.steps else ""
    return first.removeprefix(ORDERING) if first.startswith(ORDERING) else ""


def steps_of(log: OrderLog) -> list[dict[str, object]]:
    """For the list of steps: each with the seconds since the one before, and the one in progress at the end."""
    steps: list[dict[str, object]] = []
    before = log.order.started_at
    for step in log.steps[1:] if reason_of(log) else log.steps:
        seconds = None if step.is_bad else f"{(step.at - before).total_seconds():.1f}"
        steps.append({"state": _state(step), "text": f"{step.words} {step.detail}".strip(), "seconds": seconds})
        before = step.at
    if log.is_open:
        waits = log.order.next_step_at > datetime.now(UTC) and log.order.tries
        text = f"Next try at {log.order.next_step_at:%Y-%m-%d %H:%M} UTC." if waits else _in_progress(log)
        steps.append({"state": "waiting" if waits else "now", "text": text, "seconds": None})
    return steps


def _in_progress(log: OrderLog) -> str:
    if log.order.is_issued or log.order.phase == Phase.FAILED:
        return "Removing its DNS records." if log.order.records else "Ending."
    if log.order.phase == Phase.NEW and not log.order.is_asked_for:
        return "Looking at what the authority would find, then ordering."
    return IN_PROGRESS.get(Phase(log.order.phase), "In progress.")


def _state(step: AcmeStep) -> str:
    return "failed" if step.is_bad else "done"
