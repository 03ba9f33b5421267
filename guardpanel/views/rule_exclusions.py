"""Rule exclusions: one of them, and its form, which says what it would do while it is filled in."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

from fastapi import Path, Response

from guardpanel.dependencies import Editor, RowId, Viewer
from guardpanel.errors import NotFound, Problem
from guardpanel.models import RuleExclusion
from guardpanel.models.meta import label
from guardpanel.models.rule_exclusion import RuleExclusionFields
from guardpanel.services import rule_exclusions, virtual_hosts
from guardpanel.services.exclusion_checks import too_early
from guardpanel.services.exclusion_words import prices, reach
from guardpanel.views.answers import page
from guardpanel.views.editing import Editing, last_changes
from guardpanel.views.forms import Form
from guardpanel.views.visits import Here, Visit

PolicyId = Annotated[RowId, Path(alias="policy_id")]
MOST_HOSTS = 500
"In the choice of one."


class RuleExclusionEditing(Editing[RuleExclusion, RuleExclusionFields]):
    async def new_form(self, here: Visit) -> Form:
        form = Form.of(RuleExclusionFields.model_construct(None, methods=["POST"]))
        given = here.request.query_params
        form.typed |= {name: [given[name]] for name in RuleExclusionFields.model_fields if name in given}
        return form

    async def beside_form(self, here: Visit) -> Mapping[str, Any]:
        policy_id = self.rows_in(here).parent_id
        hosts = await virtual_hosts.page(here.session, policy_id=policy_id, limit=MOST_HOSTS)
        return {"hosts": [(str(host.id), host.name) for host in hosts.items], "said": None}

    async def answer(
        self,
        here: Visit,
        template: str,
        form: Form,
        row: RuleExclusion | None,
        problem: Problem | None,
        beside: Mapping[str, Any],
    ) -> Response:
        """With the virtual host that the form names, also where it uses another policy by now or is beyond those offered: a
        browser sends the first choice for one that is not there, which is all of them."""
        chosen = form.value("virtual_host_id")
        if "hosts" in beside and chosen and chosen not in dict(beside["hosts"]):
            beside = {**beside, "hosts": [*beside["hosts"], (chosen, await _name_of(here, chosen))]}
        return await super().answer(here, template, form, row, problem, beside)


EDITING = RuleExclusionEditing(rule_exclusions.ROWS)

router = EDITING.router()


@router.post("/new/reach")
async def say(here: Here, policy_id: PolicyId, _editor: Editor) -> Response:
    """What the form would do as it is, or the first thing that is wrong with it. Saves nothing."""
    form = await Form.read(here.request, RuleExclusionFields)
    said = await _said(here, form) if form.value("rules").strip() else None
    return await page(here.request, "rule_exclusions/_reach.html", {"said": said, "policy_id": policy_id})


async def _said(here: Visit, form: Form) -> Mapping[str, Any]:
    try:
        fields = form.fields(RuleExclusionFields)
        await rule_exclusions.must_have_effect(here.changes, fields)
        return {"reach": reach(fields, await _host_name(here, fields)), "prices": _prices(here, fields), "wrong": ""}
    except Problem as problem:
        words = [f"{label(RuleExclusionFields, name)}: {error.message}" for name, error in problem.errors.items()]
        return {"reach": "", "prices": [], "wrong": next(iter(words), problem.message)}


def _prices(here: Visit, fields: RuleExclusionFields) -> list[str]:
    known = here.panel.engines.agent.known_rules
    return list(filter(None, [too_early(fields, known) if known else "", *prices(fields)]))


@router.get("/{rule_exclusion_id}")
async def show(here: Here, policy_id: PolicyId, rule_exclusion_id: RowId, _viewer: Viewer) -> Response:
    rows = rule_exclusions.ROWS.under(policy_id)
    row = await rows.find(here.session, rule_exclusion_id)
    fields = rows.fields_of(row)
    host = await _host_name(here, fields)
    context = {
        "row": row,
        "fields": fields,
        "host": host,
        "trail": await EDITING.trail(here, rows),
        "url": rows.noun.url_of(row),
        "reach": reach(fields, host),
        "prices": _prices(here, fields),
        "directives": rule_exclusions.directives(row),
        "changes": await last_changes(here, row, rows),
    }
    return await page(here.request, "rule_exclusions/show.html", context)


async def _name_of(here: Visit, typed: str) -> str:
    """Of a virtual host; what was typed where that is none."""
    if typed.isascii() and typed.isdigit() and len(typed) < 17:
        with suppress(NotFound):
            return (await virtual_hosts.find(here.session, int(typed))).name
    return typed


async def _host_name(here: Visit, fields: RuleExclusionFields) -> str:
    if fields.virtual_host_id is None:
        return ""
    return (await virtual_hosts.find(here.session, fields.virtual_host_id)).name
