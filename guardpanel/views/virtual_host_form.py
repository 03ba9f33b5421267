"""The form of a virtual host, and what must be confirmed before it is saved."""

from collections.abc import Mapping
from typing import Any

from guardpanel.errors import HostnameTakeover
from guardpanel.models import VirtualHost
from guardpanel.models.server import ServerFields
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.services import certificate_uses, client_cas, policies, virtual_hosts
from guardpanel.views.context import Context
from guardpanel.views.editing import Editing
from guardpanel.views.forms import Form


class VirtualHostEditing(Editing[VirtualHost, VirtualHostFields]):
    async def new_form(self, ctx: Context) -> Form:
        """Starts with the oldest policy, which is the default one."""
        choices = await policies.all_of_them(ctx.session)
        fields = VirtualHostFields.model_construct(
            policy_id=min((policy.id or 0 for policy in choices), default=None),
            servers=[ServerFields.model_construct(address="")],
        )
        return Form.of(fields)

    async def beside_form(self, ctx: Context) -> Mapping[str, Any]:
        return {
            "policies": await policies.all_of_them(ctx.session),
            "certificates": await certificate_uses.as_options(ctx.session),
            "client_cas": await client_cas.as_options(ctx.session),
        }

    async def beside_delete(self, ctx: Context, row: VirtualHost) -> Mapping[str, Any]:
        return {"heirs": await virtual_hosts.heirs(ctx.session, row)}

    async def must_be_meant(self, ctx: Context, form: Form, row: VirtualHost, fields: VirtualHostFields) -> None:
        """Ask for confirmation if a hostname would move to another virtual host's wildcard."""
        if form.checked("hand_over"):
            return
        heirs = await virtual_hosts.heirs(ctx.session, row, fields.hostnames)
        handed_over = [f"{heir.name.shown} to {heir.wildcard.shown} of {heir.virtual_host.name}" for heir in heirs]
        more = f" and {len(handed_over) - 5} more" if len(handed_over) > 5 else ""
        if handed_over:
            raise HostnameTakeover(
                f"This save hands over {', '.join(handed_over[:5])}{more}, with the servers and policy there."
            )

    def typed(self, row: VirtualHost) -> dict[str, list[str]]:
        return {"hostnames": [name.shown for name in row.hostnames]}
