"""Custom rules: one of them, and its form."""

from typing import Annotated

from fastapi import Path, Response

from guardpanel.dependencies import Editor, RowId, Viewer
from guardpanel.services import custom_rules, policies, rule_exclusions
from guardpanel.services.rules.own_rules import as_rule
from guardpanel.views.answers import page
from guardpanel.views.context import ContextDep
from guardpanel.views.custom_rule_form import CustomRuleEditing, try_form, turn
from guardpanel.views.details import detail
from guardpanel.views.forms import Form

PolicyId = Annotated[RowId, Path(alias="policy_id")]

SIDES = {"seclang", "builder"}

EDITING = CustomRuleEditing(custom_rules.ROWS)

router = EDITING.router()


@router.post("/new/try")
async def try_out(ctx: ContextDep, policy_id: PolicyId, _editor: Editor) -> Response:
    """The verdict on the pasted request with the form as it is. Saves nothing."""
    form = await EDITING.read_form(ctx)
    context = await try_form(ctx, policy_id, form)
    return await page(ctx.request, "custom_rules/_tried.html", context)


@router.post("/new/{side}")
async def follow(ctx: ContextDep, policy_id: PolicyId, side: str, _editor: Editor) -> Response:  # noqa: ARG001
    """One side of the form as the other one says it. Saves nothing."""
    form = await Form.read(ctx.request, EDITING.rows.fields)
    turn(form, side if side in SIDES else "seclang")
    context = {"form": form, "side": side, "refusal": None, **await EDITING.beside_form(ctx)}
    return await page(ctx.request, "custom_rules/_side.html", context)


@router.get("/{custom_rule_id}")
async def show(ctx: ContextDep, policy_id: PolicyId, custom_rule_id: RowId, _viewer: Viewer) -> Response:
    rows = custom_rules.ROWS.under(policy_id)
    row = await rows.find(ctx.session, custom_rule_id)
    policy = await policies.find(ctx.session, policy_id)
    context = {
        "is_idle": bool(custom_rules.idle(policy, [row])),
        "fields": rows.fields_of(row),
        "facts": [f"rule {row.rule_id}"],
        "seclang": custom_rules.seclang(row),
        "exclusions": await rule_exclusions.of_rule(ctx.session, as_rule(row), policy_id),
        "policies": {policy_id: policy.name},
    }
    return await page(ctx.request, "custom_rules/show.html", context | await detail(ctx, EDITING, rows, row))
