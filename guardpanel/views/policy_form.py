"""The form of a policy. It starts from a preset, limited to what the agent can inspect."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import Response

from guardpanel.errors import Problem
from guardpanel.models import Policy
from guardpanel.models.policies.policy import KIB, PolicyFields
from guardpanel.models.policies.policy_limits import LONGEST_PERIOD_SECONDS, LimitBy
from guardpanel.models.policies.presets import PRESETS
from guardpanel.models.policies.restrictions import HEADERS
from guardpanel.services import policies, policy_uses, virtual_hosts
from guardpanel.services.events.rates import Met, VisitorRates
from guardpanel.views.context import Context
from guardpanel.views.editing import Editing
from guardpanel.views.formats import counted
from guardpanel.views.forms import Form

MOST_USERS = 12
"Virtual hosts of a policy that are listed. A link shows all."

PRESET_NAMES = {"website": "Website", "rest_api": "REST API", "file_upload": "File upload"}


_NOT_KNOWN = "How many would have met this limit in the last 24 hours is not known: "

NOT_KNOWN: Mapping[str, str] = {
    LimitBy.NETWORK: f"{_NOT_KNOWN}of so many visitors, a sample is counted, each by itself.",
    LimitBy.HEADER: f"{_NOT_KNOWN}HAProxy’s log does not have the header’s values.",
    LimitBy.COOKIE: f"{_NOT_KNOWN}HAProxy’s log does not have the cookie’s values.",
}


class PolicyEditing(Editing[Policy, PolicyFields]):
    async def new_form(self, ctx: Context) -> Form:
        defaults = PolicyFields(name="x").model_copy(update={"name": ""})
        return preset_form(ctx, defaults, ctx.request.query_params.get("preset", "website"))

    async def edit_form(self, ctx: Context, row: Policy) -> Form:
        form, preset = self.form_of(ctx, row), ctx.request.query_params.get("preset", "")
        if preset in PRESETS:
            form.typed |= preset_form(ctx, self.rows.fields_of(row), preset).typed
            form.is_begun = True
        return form

    async def beside_form(self, ctx: Context) -> Mapping[str, Any]:
        return {
            "presets": PRESET_NAMES,
            "largest_body_kib": ctx.facts.largest_body // KIB,
            "restricted_headers": HEADERS,
            "geo": await ctx.panel.geo.statuses(),
        }

    async def answer(
        self,
        ctx: Context,
        template: str,
        form: Form,
        row: Policy | None,
        problem: Problem | None,
        beside: Mapping[str, Any],
    ) -> Response:
        """With what the typed limit would have met, where it counts visitors."""
        words = []
        if row:
            rates = await ctx.panel.events.visitor_rates(row.id or 0, datetime.now(UTC))
            limit = form.value("rate_limit_requests"), form.value("rate_limit_window_seconds")
            words = limit_words(form.value("limit_by"), rates, *limit)
        return await super().answer(ctx, template, form, row, problem, {**beside, "visitor_words": words})

    async def beside_delete(self, ctx: Context, row: Policy) -> Mapping[str, Any]:
        users = await virtual_hosts.page(ctx.session, policy_id=row.id, limit=MOST_USERS)
        places = await policy_uses.of_hosts(ctx.session, users.items)
        is_last = await policies.is_last(ctx.session, row)
        return {"users": users, "places": places, "is_kept": users.total > 0, "is_last": is_last}


MOST_STEPS = 6
"Numbers of requests, each twice the one before, to compare a limit with."


MOST_DIGITS = 7


def limit_words(by: str, rates: VisitorRates, requests: str, seconds: str) -> list[str]:
    """Who would have met the limit, as far as what is counted of visitors tells."""
    match by:
        case LimitBy.CLIENT:
            return visitor_words(rates, requests, seconds)
        case LimitBy.NETWORK if not rates.is_sample:
            return visitor_words(rates.by_network(), requests, seconds, "network")
        case LimitBy.PATH:
            return visitor_words(rates, requests, seconds, to=" to one path")
    return [NOT_KNOWN[by]] if by in NOT_KNOWN else []


def visitor_words(rates: VisitorRates, requests: str, seconds: str, noun: str = "visitor", to: str = "") -> list[str]:
    """`In the last 24 hours, 3 of 412 visitors sent more than 100 requests within 10 s.`, and the same for other numbers. `to`: a
    part of what was counted, so these are at most so many."""
    numbers = [int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else 0 for text in (requests, seconds)]
    if not all(numbers) or numbers[1] > LONGEST_PERIOD_SECONDS:
        return []
    most, period = numbers
    if not rates.visitors:
        return [f"No {noun} in the last 24 hours to compare it with."]
    within = f"requests within {period:,} s{to}"
    whole = f"of {counted(len(rates.visitors), noun)}"
    if rates.is_sample:
        whole = f"of {len(rates.visitors):,} visitors, a sample of some {rates.total:,},"
    met = _counted(rates.over(most, period), is_part=bool(to))
    words = [f"In the last 24 hours, {met} {whole} sent more than {most:,} {within}."]
    steps = [(2**power, rates.over(2**power, period)) for power in range(1, 21)]
    met_at = [step for step in steps if step[1].most][-MOST_STEPS:]
    others = ", ".join(f"more than {number:,}: {_counted(met, is_part=bool(to))}" for number, met in met_at)
    return [*words, f"Sent {others}."] if others else words


def _counted(met: Met, *, is_part: bool) -> str:
    """`none`, `3`, `3–5`, `at most 5`"""
    if not met.most:
        return "none"
    if is_part:
        return f"at most {met.most:,}"
    return f"{met.least:,}" if met.least == met.most else f"{met.least:,}–{met.most:,}"


def preset_form(ctx: Context, fields: PolicyFields, preset: str) -> Form:
    """The fields with the preset's values."""
    form = Form.of(policies.fitting(fields.model_copy(update=PRESETS.get(preset, {})), ctx.facts))
    form.typed["preset"] = [preset]
    return form
