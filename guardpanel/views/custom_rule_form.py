"""The form of a custom rule: the builder, and the same rule in SecLang beside it. Either may be edited; the other follows."""

from collections.abc import Mapping
from typing import Any

from guardpanel.engines import Rule
from guardpanel.errors import FieldError, Invalid, Problem
from guardpanel.models import CustomRule
from guardpanel.models.meta import about
from guardpanel.models.rules.custom_rule import CustomRuleFields
from guardpanel.services import custom_rules
from guardpanel.services.custom_rules import seclang
from guardpanel.services.rules import catalogue
from guardpanel.services.trials.trial_points import points_in_trial
from guardpanel.services.trials.trial_requests import REQUEST, try_rule
from guardpanel.views.context import Context
from guardpanel.views.editing import Editing
from guardpanel.views.forms import Form

NO_SECLANG = "Enter a SecRule or a SecAction."

BOTH_CHANGED = "Builder and SecLang both changed. Choose which one counts: To SecLang, or To builder."

TRY = "try"
"Of the button that tries the pasted request."

NOTHING_TRIED: Mapping[str, Any] = {"tried": None, "own_id": 0, "wrong": "", "points": {}, "crs_version": ""}

OF_BUILDER = ("phase", "variables", "operator", "operator_argument", "negated", "transformations", "action", "points", "status",
              "name", "rule_id", "severity", "tags")  # fmt: skip


class RuleForm(Form):
    def change_rows(self) -> bool:
        """Also for the buttons that let one side follow the other, and where nobody can tell which side counts."""
        if side := self.value("turn"):
            turn(self, side)  # where the request is tried, neither side follows
        elif text_counts(self) and both_changed(self):
            self.errors = {"seclang": FieldError(BOTH_CHANGED)}
        else:
            return super().change_rows()
        return True


class CustomRuleEditing(Editing[CustomRule, CustomRuleFields]):
    async def new_form(self, ctx: Context) -> Form:
        policy_id = self.rows_in(ctx).parent_id or 0
        number = await custom_rules.next_id(ctx.session, policy_id)
        form = Form.of(CustomRuleFields.model_construct(None, rule_id=number, name="", variables=[]))
        given = ctx.request.query_params
        form.filled_in(given)
        if rule := await _rule_named(ctx, given.get("instead_of", "")):
            form.typed["seclang"] = [custom_rules.copy_of(rule, number)]
            form.typed["comment"] = [f"Instead of rule {rule.id}. Switch that off in this policy, or both add points."]
        return form

    async def read_form(self, ctx: Context) -> Form:
        form = await RuleForm.read(ctx.request, self.rows.fields)
        if not text_counts(form):
            form.typed["seclang"] = [""]
        return form

    async def beside_form(self, ctx: Context) -> Mapping[str, Any]:
        """With the verdict on the pasted request, where that was asked for without JavaScript."""
        tried = NOTHING_TRIED
        if ctx.request.method == "POST":
            form = await self.read_form(ctx)
            if form.value("turn") == TRY:
                tried = await try_form(ctx, self.rows_in(ctx).parent_id or 0, form)
        return {"sides_of": sides_of, **tried}


async def _rule_named(ctx: Context, typed: str) -> Rule | None:
    """A rule of the rule set; None where it is not known."""
    if not (typed.isascii() and typed.isdigit() and len(typed) < 10):
        return None
    await ctx.session.commit()  # the agent is asked
    rule_set = (await catalogue.load(ctx.changes.engines)).rule_set
    return rule_set.rules.get(int(typed)) if rule_set else None


async def try_form(ctx: Context, policy_id: int, form: Form) -> Mapping[str, Any]:
    """What the template needs to say of the pasted request."""
    try:
        fields = form.fields(CustomRuleFields)
        tried = await try_rule(ctx.changes, ctx.session, policy_id, fields, form.value(REQUEST))
    except Problem as problem:
        label_of = {**{name: field.title for name, field in about(CustomRuleFields).items()}, REQUEST: "Request"}
        words = [f"{label_of.get(name, name)}: {error.message}" for name, error in problem.errors.items()]
        return {**NOTHING_TRIED, "wrong": next(iter(words), problem.message)}
    points = await points_in_trial(ctx.changes.engines, ctx.session, policy_id, tried, fields)
    version = catalogue.crs_version(ctx.changes.engines)
    return {"tried": tried, "own_id": fields.rule_id, "wrong": "", "points": points, "crs_version": version}


def text_counts(form: Form) -> bool:
    """Whether the SecLang side was edited, or is the only one."""
    text = plain(form.value("seclang"))
    return bool(text) and (not has_builder(form) or text != plain(form.value("seclang_before")))


def has_builder(form: Form) -> bool:
    return "variables" in form.typed


def both_changed(form: Form) -> bool:
    """Whether the builder says something that neither side said when the page was made, nor the text does now."""
    built = seclang_of(builder_of(form)) if has_builder(form) else ""
    return bool(built) and built not in {plain(form.value("seclang_before")), seclang_of(text_of(form))}


def turn(form: Form, side: str) -> None:
    """Let one side follow the other: `seclang` or `builder`."""
    if side == TRY:
        return
    if side == "builder" and not plain(form.value("seclang")):
        form.errors = {"seclang": FieldError(NO_SECLANG)}
        return
    source = builder_of(form) if side == "seclang" else text_of(form)
    if side == "seclang":
        form.typed["seclang"] = [""]
    elif fields := fields_of(source):
        form.typed |= Form.of(fields).typed
        if fields.seclang:  # beyond the builder
            for name in OF_BUILDER:
                form.typed.pop(name, None)
    try:
        source.fields(CustomRuleFields)
    except Invalid as problem:
        form.refused(problem)


def text_of(form: Form) -> Form:
    """The rule that the SecLang side says."""
    kept: dict[str, list[str]] = {
        name: form.typed[name] for name in ("enabled", "comment", "seclang") if name in form.typed
    }
    return Form(kept, model=CustomRuleFields)


def builder_of(form: Form) -> Form:
    return Form({**form.typed, "seclang": [""]}, model=CustomRuleFields)


def fields_of(form: Form) -> CustomRuleFields | None:
    try:
        return form.fields(CustomRuleFields)
    except Invalid:
        return None


def seclang_of(form: Form) -> str:
    fields = fields_of(form)
    return plain(seclang(fields)) if fields else ""


def sides_of(form: Form) -> Mapping[str, Any]:
    """What the SecLang side shows, what it showed before it was edited, and whether there is a builder beside it."""
    typed = plain(form.value("seclang"))
    fields = fields_of(text_of(form)) if typed else None
    built = seclang_of(builder_of(form)) if not typed else ""
    return {
        "text": typed or built,
        "before": plain(form.value("seclang_before")) if typed else built,
        "has_builder": has_builder(form) and not (fields and fields.seclang),
    }


def plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()
