"""The ledger: the rule exclusions and overrides of all policies."""

from fastapi import APIRouter, Response

from guardpanel.dependencies import Viewer
from guardpanel.services.ledger.flags import FlagKind
from guardpanel.services.ledger.ledger import SORTS, EntryKind, Question, load
from guardpanel.views.answers import page
from guardpanel.views.context import ContextDep
from guardpanel.views.lists import Listing

PATH = "/rules/ledger"

router = APIRouter(prefix=PATH)

USUAL = "policy"


@router.get("")
async def index(
    ctx: ContextDep, _viewer: Viewer, q: str = "", kind: str = "", policy: str = "", flag: str = "", sort: str = USUAL,
    offset: int = 0,
) -> Response:  # fmt: skip
    """Unknown filter values are ignored."""
    kept = {
        "q": q.strip()[:200],
        "kind": kind if kind in set(EntryKind) else "",
        "policy": policy if policy.isascii() and policy.isdigit() and len(policy) < 17 else "",
        "flag": flag if flag in set(FlagKind) else "",
    }
    listing = Listing(PATH, sort if sort.removeprefix("-") in SORTS else USUAL, offset, kept, usual=USUAL)
    question = Question(
        kept["q"],
        EntryKind(kept["kind"]) if kept["kind"] else None,
        int(kept["policy"]) if kept["policy"] else None,
        None,
        FlagKind(kept["flag"]) if kept["flag"] else None,
    )
    ledger = await load(ctx.session, ctx.panel.engines, ctx.panel.events, question, **listing.paging)
    context = {
        "listing": listing,
        "ledger": ledger,
        "results": ledger.page,
        "kinds": {kind.value: kind.word for kind in EntryKind},
        "flag_words": {flag.value: flag.word for flag in FlagKind},
    }
    return await page(ctx.request, "ledger/index.html", context)
