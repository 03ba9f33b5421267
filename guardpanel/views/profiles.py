"""Application profiles on a virtual host: what each would add, applied and removed."""

from collections import Counter

from fastapi import APIRouter, Response

from guardpanel.dependencies import Editor, RowId, Viewer, anew
from guardpanel.errors import NotFound, Problem
from guardpanel.services import virtual_hosts
from guardpanel.services.ledger import ledger
from guardpanel.services.ledger.flags import FlagKind
from guardpanel.services.ledger.ledger import Question
from guardpanel.services.profiles.applying import apply, offers, remove
from guardpanel.services.profiles.choice import ProfileChoice
from guardpanel.services.profiles.judging_policies import JudgingPolicies
from guardpanel.services.profiles.plans import Source
from guardpanel.services.rules.exclusion_words import reach
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.editing import done
from guardpanel.views.forms import Form
from guardpanel.views.refusals import refused

MOST_ATTACKED = 500

VERSION = " (version "
"Exclusions of a virtual host."

router = APIRouter(prefix="/virtual-hosts/{virtual_host_id}/profiles")


@router.get("")
async def index(virtual_host_id: RowId, ctx: ContextDep, _viewer: Viewer) -> Response:
    return await show(ctx, virtual_host_id)


@router.post("")
async def put_on(virtual_host_id: RowId, ctx: ContextDep, editor: Editor) -> Response:
    form = await Form.read(ctx.request, ProfileChoice)
    try:
        saved = await apply(ctx.changes, form.save_request(editor), virtual_host_id, form.fields(ProfileChoice))
    except NotFound:
        raise
    except Problem as problem:
        return await show(ctx, virtual_host_id, form, problem)
    return done(saved, address(virtual_host_id), f"Applied {saved.value.name}. ")


@router.post("/remove")
async def take_off(virtual_host_id: RowId, ctx: ContextDep, editor: Editor) -> Response:
    form = await Form.read(ctx.request, ProfileChoice)
    try:
        saved = await remove(ctx.changes, form.save_request(editor), virtual_host_id, form.fields(ProfileChoice))
    except NotFound:
        raise
    except Problem as problem:
        return await show(ctx, virtual_host_id, form, problem)
    return done(saved, address(virtual_host_id), f"Removed {saved.value}. ")


def address(virtual_host_id: int) -> str:
    return f"/virtual-hosts/{virtual_host_id}/profiles"


async def show(
    ctx: Context, virtual_host_id: int, form: Form | None = None, problem: Problem | None = None
) -> Response:
    await anew(ctx.session)
    host = await virtual_hosts.find(ctx.session, virtual_host_id)
    context = {
        "host": host,
        "policies": (await JudgingPolicies.load(ctx.session, host)).by_id,
        "place": address(virtual_host_id),
        "form": form or Form({}, model=ProfileChoice),
        "key": Form({}).key,
        "reach": reach,
        "refusal": await refused(ctx.session, problem, ProfileChoice),
        "is_removal": ctx.request.scope["path"].endswith("/remove"),
    }
    attacked = Question(virtual_host_id=virtual_host_id, flag=FlagKind.ATTACK_SEEN)
    attacked_fields = await ledger.load(ctx.session, ctx.panel.engines, ctx.panel.events, attacked, limit=MOST_ATTACKED)
    context["attacked"] = Counter(
        entry.source.rpartition(VERSION)[0] + VERSION for entry in attacked_fields.page.items if entry.source
    )
    context["crs_version"] = attacked_fields.crs_version
    context["source_of"] = lambda offer: Source(offer.profile.key, offer.version, offer.prefix).of_any_version
    context["offers"] = await offers(ctx.session, ctx.panel.engines, virtual_host_id)
    return await page(ctx.request, "profiles/index.html", context, status_code=problem.status if problem else 200)
