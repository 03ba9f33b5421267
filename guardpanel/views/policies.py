"""Policies: the list, and a policy as a sentence."""

from fastapi import Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.models.policies.content_types import ReadAs
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.restrictions import EXTENSIONS, HEADERS
from guardpanel.services import (
    body_readings,
    custom_rules,
    policies,
    policy_uses,
    rule_exclusions,
    rule_overrides,
    virtual_hosts,
)
from guardpanel.services.exclusion_ends import ANNOUNCED
from guardpanel.views.answers import page
from guardpanel.views.context import ContextDep
from guardpanel.views.details import last_changes
from guardpanel.views.lists import Listing
from guardpanel.views.policy_form import MOST_USERS, PolicyEditing

MOST_OF_ITS_RULES = 500

READ_AS_FORMS = dict.fromkeys([ReadAs.NDJSON, ReadAs.TEXT, ReadAs.BINARY], "Form (coraza-spoa has no other parser)")

EDITING = PolicyEditing(policies.ROWS)

router = EDITING.router()


@router.get("")
async def index(
    ctx: ContextDep, _viewer: Viewer, q: str = "", mode: str = "", sort: str = "name", offset: int = 0
) -> Response:
    listing = Listing(EDITING.noun.path, sort, offset, {"q": q.strip()[:200], "mode": mode})
    chosen = EnforcementMode(mode) if mode in set(EnforcementMode) else None
    rows = await policies.page(ctx.session, q=listing.kept["q"], mode=chosen, **listing.paging)
    context = {"listing": listing, "results": rows, "used": await policy_uses.host_counts(ctx.session)}
    return await page(ctx.request, "policies/index.html", context)


@router.get("/{policy_id}")
async def show(policy_id: RowId, ctx: ContextDep, _viewer: Viewer) -> Response:
    policy = await policies.find(ctx.session, policy_id)
    users = await virtual_hosts.page(ctx.session, policy_id=policy_id, limit=MOST_USERS)
    own = await custom_rules.ROWS.under(policy_id).page(ctx.session, limit=MOST_OF_ITS_RULES)
    context = {
        "policy": policy,
        "users": users,
        "places": await policy_uses.of_hosts(ctx.session, users.items),
        "changes": await last_changes(ctx, policy, policies.ROWS),
        "overrides": await rule_overrides.ROWS.under(policy_id).page(ctx.session, limit=MOST_OF_ITS_RULES),
        "soon": rule_exclusions.today() + ANNOUNCED,
        "exclusions": await rule_exclusions.ROWS.under(policy_id).page(ctx.session, limit=MOST_OF_ITS_RULES),
        "custom_rules": own,
        "idle": custom_rules.idle(policy, own.items),
        "body_readings": await body_readings.ROWS.under(policy_id).page(ctx.session, limit=MOST_OF_ITS_RULES),
        "crs_lists": {"restricted_headers": list(HEADERS), "restricted_extensions": EXTENSIONS},
        "reading_words": READ_AS_FORMS if ctx.facts.small_frames else {},
    }
    return await page(ctx.request, "policies/show.html", context)
