"""Rules: the agent's rule set with a search, and each rule in plain language."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.engines import RuleRole
from guardpanel.errors import Invalid, NotFound
from guardpanel.events.texts import legible
from guardpanel.services import custom_rules, policies, rule_exclusions, rule_overrides
from guardpanel.services.events.fired import MOST, MOST_LISTED
from guardpanel.services.rules import catalogue
from guardpanel.services.rules.families import family
from guardpanel.services.rules.policy_states import state_of
from guardpanel.services.rules.question import PHASES, RuleQuestion, search
from guardpanel.services.rules.sentences import ROLES, explain, title
from guardpanel.services.rules.states import states
from guardpanel.views.answers import page, redirect
from guardpanel.views.rule_filters import RuleFilters

router = APIRouter(prefix="/rules")

BREAKS = "\n\t"
"Control characters that SecLang keeps."


@router.get("")
async def index(request: Request, panel: PanelDep, session: SessionDep, _viewer: Viewer) -> Response:
    names = {str(policy.id): policy.name for policy in await policies.all_of_them(session)}
    filters, question, state = RuleFilters(request.query_params, names), None, None
    try:
        question = filters.form.fields(RuleQuestion)
        state = await state_of(session, question)
    except Invalid as problem:
        filters.form.refused(problem)
    await session.commit()  # Release the connection: the agent and the events are queried next.
    loaded = await catalogue.load(panel.engines)
    context = {
        "loaded": loaded, "filters": filters, "results": None, "family": family, "most_listed": MOST_LISTED, "title_of": title,
        "state_of": state,
    }  # fmt: skip
    if loaded.rule_set is None:
        return await page(request, "rules/index.html", context)
    if question is None or filters.form.errors:
        return await page(request, "rules/index.html", context, status_code=422)
    matches = search(loaded.rule_set, question, state, **filters.listing.paging)
    counts = await panel.events.fired_counts([rule.id for rule in matches.items], datetime.now(UTC))
    return await page(request, "rules/index.html", {**context, "results": matches, "counts": counts})


@router.get("/{rule_id}")
async def show(request: Request, rule_id: str, panel: PanelDep, session: SessionDep, _viewer: Viewer) -> Response:
    rows = await policies.all_of_them(session)
    await session.commit()
    loaded = await catalogue.load(panel.engines)
    number = int(rule_id) if rule_id.isascii() and rule_id.isdigit() and len(rule_id) < 10 else 0
    if not number:
        raise NotFound("Rule not found.")
    if loaded.rule_set is None or number not in loaded.rule_set.rules:
        own = await custom_rules.with_id(session, number)
        await session.commit()
        if len(own) == 1:
            return redirect(custom_rules.NOUN.url_of(own[0][0]))
        context = {"loaded": loaded, "number": number, "is_own": number // 10_000 == 19, "custom_rules": own}
        exists = own or not loaded.rule_set
        return await page(request, "rules/missing.html", context, status_code=200 if exists else 404)
    rule = loaded.rule_set.rules[number]
    exclusions = await rule_exclusions.of_rule(session, rule)
    overrides = await rule_overrides.of_rule(session, rule)
    await session.commit()
    context = {
        "own": {override.policy_id: override for override in overrides if override.rule == str(rule.id)},
        "exclusions": exclusions, "policies": {policy.id: policy.name for policy in rows},
        "loaded": loaded, "rule": rule, "name": title(rule), "role": ROLES[rule.role],
        "family": family(rule.family), "links": explain(rule),
        "phase": PHASES[rule.phase], "states": states(rule, rows, exclusions, overrides),
        "seclang": legible(rule.seclang, BREAKS),
        "no_copy": custom_rules.why_no_copy(rule) if rule.role is RuleRole.DETECT else "",
        "fired": await panel.events.fired(number, datetime.now(UTC)), "most": MOST,
    }  # fmt: skip
    return await page(request, "rules/show.html", context)
