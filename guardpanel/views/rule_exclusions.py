"""Rule exclusions: the page of one, and its form with a live preview."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

from fastapi import Path, Response

from guardpanel.dependencies import Editor, RowId, Viewer
from guardpanel.errors import NotFound, Problem
from guardpanel.models import RuleExclusion
from guardpanel.models.meta import label
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from guardpanel.services import rule_exclusions, virtual_hosts
from guardpanel.services.profiles.plans import Source
from guardpanel.services.rule_exclusions import RuleExclusions
from guardpanel.services.rules.exclusion_checks import too_early
from guardpanel.services.rules.exclusion_words import prices, reach
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.details import detail
from guardpanel.views.editing import Editing
from guardpanel.views.forms import Form

PolicyId = Annotated[RowId, Path(alias="policy_id")]
MOST_HOSTS = 500
"Virtual hosts in the select."


class RuleExclusionEditing(Editing[RuleExclusion, RuleExclusionFields]):
    async def new_form(self, ctx: Context) -> Form:
        form = Form.of(RuleExclusionFields.model_construct(None, methods=["POST"]))
        return form.filled_in(ctx.request.query_params)

    async def beside_form(self, ctx: Context) -> Mapping[str, Any]:
        policy_id = self.rows_in(ctx).parent_id
        hosts = await virtual_hosts.page(ctx.session, policy_id=policy_id, limit=MOST_HOSTS)
        return {"hosts": [(str(host.id), host.name) for host in hosts.items], "sentences": None}

    async def answer(
        self,
        ctx: Context,
        template: str,
        form: Form,
        row: RuleExclusion | None,
        problem: Problem | None,
        beside: Mapping[str, Any],
    ) -> Response:
        """Includes the form's virtual host even if it has another policy by now or is beyond the limit. Otherwise the browser
        would select the first option, which means all of them."""
        chosen = form.value("virtual_host_id")
        if "hosts" in beside and chosen and chosen not in dict(beside["hosts"]):
            beside = {**beside, "hosts": [*beside["hosts"], (chosen, await _name_of(ctx, chosen))]}
        return await super().answer(ctx, template, form, row, problem, beside)


EDITING = RuleExclusionEditing(rule_exclusions.ROWS)

router = EDITING.router()


@router.post("/new/reach")
async def say(ctx: ContextDep, policy_id: PolicyId, _editor: Editor) -> Response:
    """A preview of the form: what it would do, or its first error. Saves nothing."""
    form = await Form.read(ctx.request, RuleExclusionFields)
    sentences = await _preview(ctx, policy_id, form) if form.value("rules").strip() else None
    return await page(ctx.request, "rule_exclusions/_reach.html", {"sentences": sentences, "policy_id": policy_id})


async def _preview(ctx: Context, policy_id: int, form: Form) -> Mapping[str, Any]:
    try:
        fields = form.fields(RuleExclusionFields)
        rows = rule_exclusions.ROWS.under(policy_id)
        await rows.must_have_effect(ctx.changes, fields)
        paid = await _prices(ctx, rows, fields)
        return {"reach": reach(fields, await _host_name(ctx, fields)), "prices": paid, "wrong": ""}
    except Problem as problem:
        words = [f"{label(RuleExclusionFields, name)}: {error.message}" for name, error in problem.errors.items()]
        return {"reach": "", "prices": [], "wrong": next(iter(words), problem.message)}


async def _prices(ctx: Context, rows: RuleExclusions, fields: RuleExclusionFields) -> list[str]:
    known = ctx.panel.engines.agent.known_rules
    early = too_early(fields, await rows.with_own_rules(ctx.changes, fields, known)) if known else ""
    return list(filter(None, [early, *prices(fields)]))


@router.get("/{rule_exclusion_id}")
async def show(ctx: ContextDep, policy_id: PolicyId, rule_exclusion_id: RowId, _viewer: Viewer) -> Response:
    rows = rule_exclusions.ROWS.under(policy_id)
    row = await rows.find(ctx.session, rule_exclusion_id)
    fields = rows.fields_of(row)
    host = await _host_name(ctx, fields)
    paid = await _prices(ctx, rows, fields)
    context = {
        "fields": fields,
        "host": host,
        "source": Source.parse(row.source),
        "reach": reach(fields, host),
        "prices": paid,
        "directives": rule_exclusions.directives(row),
    }
    return await page(ctx.request, "rule_exclusions/show.html", context | await detail(ctx, EDITING, rows, row))


async def _name_of(ctx: Context, typed: str) -> str:
    """A virtual host's name, or the typed text if there is none."""
    if typed.isascii() and typed.isdigit() and len(typed) < 17:
        with suppress(NotFound):
            return (await virtual_hosts.find(ctx.session, int(typed))).name
    return typed


async def _host_name(ctx: Context, fields: RuleExclusionFields) -> str:
    if fields.virtual_host_id is None:
        return ""
    return (await virtual_hosts.find(ctx.session, fields.virtual_host_id)).name
