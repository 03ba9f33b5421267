"""All fields of a virtual host's delivery."""

from guardpanel.models.delivery.compression import CompressionColumns
from guardpanel.models.delivery.cors import CorsColumns
from guardpanel.models.delivery.logins import LoginColumns
from guardpanel.models.delivery.protocols import ProtocolsColumns
from guardpanel.models.delivery.redirect import RedirectColumns
from guardpanel.models.delivery.security_headers import SecurityHeadersColumns
from guardpanel.models.delivery.server_path import ServerPathColumns
from guardpanel.models.delivery.servers_asked import ServersAskedColumns
from guardpanel.models.delivery.sticky_sessions import StickySessionsColumns
from guardpanel.models.meta import described
from guardpanel.models.references import OptionalId


class DeliveryColumns(
    ProtocolsColumns,
    StickySessionsColumns,
    CompressionColumns,
    ServersAskedColumns,
    ServerPathColumns,
    CorsColumns,
    SecurityHeadersColumns,
    LoginColumns,
    RedirectColumns,
):
    """The fields that form, JSON and table share. In their order, the last base comes first."""

    error_page_id: OptionalId = described(
        "Error pages", None, unset="default", hint="What visitors see when a request is blocked, or no server responds."
    )
