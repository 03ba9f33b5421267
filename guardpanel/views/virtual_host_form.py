"""The form of a virtual host, and what must be confirmed before it is saved."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from guardpanel.dependencies import Editor, IdInPath
from guardpanel.errors import HostnameTakeover, Problem
from guardpanel.models import VirtualHost
from guardpanel.models.certificates.issuing import AUTHORITIES, LETS_ENCRYPT, NewCertificate, known_authority
from guardpanel.models.delivery.security_headers import SECURITY_LINES
from guardpanel.models.server import ServerFields
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.services import certificate_uses, client_cas, error_pages, policies, redirect_targets, virtual_hosts
from guardpanel.services.issuing import deeds
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.editing import Editing
from guardpanel.views.formats import counted
from guardpanel.views.forms import Form

OFFERED = tuple(choice for choice in NewCertificate if choice is not NewCertificate.UPLOAD)
"An upload has a form of its own."


def with_new_certificate(form: Form, kind: NewCertificate) -> Form:
    form.typed |= {"new_certificate": [kind], "new_authority": [known_authority(LETS_ENCRYPT)]}
    return form


async def looked_at(ctx: Context, form: Form) -> dict[str, Any]:
    """What would keep an authority from issuing a certificate for the typed names, as far as that can be seen before they are
    live."""
    names = [line for line in form.value("hostnames").splitlines() if line.strip()]
    try:
        findings = await deeds.first_look(ctx.panel.issuer, names, form.value("new_authority"))
    except Problem as problem:
        return {"tone": "bad", "words": problem.message, "findings": []}
    words = counted(len(findings), "problem") if findings else "Nothing stands in the way so far"
    return {"tone": "warn" if findings else "ok", "words": words, "findings": findings}


class VirtualHostEditing(Editing[VirtualHost, VirtualHostFields]):
    async def new_form(self, ctx: Context) -> Form:
        """Starts with the oldest policy, which is the default one."""
        choices = await policies.all_of_them(ctx.session)
        fields = VirtualHostFields.model_construct(
            policy_id=min((policy.id or 0 for policy in choices), default=None),
            servers=[ServerFields.model_construct(address="")],
        )
        return with_new_certificate(Form.of(fields, self.noun.input), NewCertificate.NONE)

    def form_of(self, ctx: Context, row: VirtualHost) -> Form:
        return with_new_certificate(super().form_of(ctx, row), NewCertificate.NONE)

    async def edit_form(self, ctx: Context, row: VirtualHost) -> Form:
        """With a certificate to order, where the page has a button for it."""
        form, offer = self.form_of(ctx, row), ctx.request.query_params.get("new_certificate", "")
        if offer in OFFERED:
            form.typed["https"] = ["on"]
            with_new_certificate(form, NewCertificate(offer)).is_begun = True
        return form

    async def create(self, ctx: ContextDep, editor: Editor) -> Response:
        form = await self.read_form(ctx)
        if form.checked("preflight"):
            return await self.show_form(ctx, form, None)
        return await super().create(ctx, editor)

    async def update(self, row_id: IdInPath, ctx: ContextDep, editor: Editor) -> Response:
        form = await self.read_form(ctx)
        if form.checked("preflight"):
            return await self.show_edit(ctx, form, row_id)
        return await super().update(row_id, ctx, editor)

    async def answer(
        self,
        ctx: Context,
        template: str,
        form: Form,
        row: VirtualHost | None,
        problem: Problem | None,
        beside: Mapping[str, Any],
    ) -> Response:
        look = await looked_at(ctx, form) if form.checked("preflight") else None
        return await super().answer(ctx, template, form, row, problem, {**beside, "preflight": look})

    async def beside_form(self, ctx: Context) -> Mapping[str, Any]:
        return {
            "policies": await policies.all_of_them(ctx.session),
            "certificates": await certificate_uses.as_options(ctx.session),
            "client_cas": await client_cas.as_options(ctx.session),
            "error_pages": await error_pages.as_options(ctx.session),
            "new_certificates": [(choice.value, choice.word, choice.hint) for choice in OFFERED],
            "authorities": AUTHORITIES,
            "security_lines": SECURITY_LINES,
        }

    async def beside_delete(self, ctx: Context, row: VirtualHost) -> Mapping[str, Any]:
        unused = await certificate_uses.used_by_it_alone(ctx.session, row)
        default_host = await virtual_hosts.for_unknown_names(ctx.session)
        stranded = await redirect_targets.doubt(ctx.session, ctx.facts, row, None)
        heirs = await virtual_hosts.heirs(ctx.session, row)
        return {"heirs": heirs, "unused": unused, "default_host": default_host, "stranded": stranded}

    async def must_be_meant(self, ctx: Context, form: Form, row: VirtualHost, fields: VirtualHostFields) -> None:
        """Ask for confirmation if a hostname would move to another virtual host's wildcard."""
        if form.checked("hand_over"):
            return
        heirs = await virtual_hosts.heirs(ctx.session, row, fields.hostnames)
        handed_over = [
            f"{heir.name.display_name} to {heir.wildcard.display_name} of {heir.virtual_host.name}" for heir in heirs
        ]
        more = f" and {len(handed_over) - 5} more" if len(handed_over) > 5 else ""
        if handed_over:
            raise HostnameTakeover(
                f"This save hands over {', '.join(handed_over[:5])}{more}, with the servers and policy there."
            )

    def typed(self, row: VirtualHost) -> dict[str, list[str]]:
        return {"hostnames": [name.display_name for name in row.hostnames]}
