"""Which servers of a virtual host take requests, and what is confirmed before none does."""

from guardpanel.errors import FieldError, NeedsConfirmation
from guardpanel.models import VirtualHost
from guardpanel.models.server import Server, ServerFields
from guardpanel.models.virtual_host import VirtualHostFields

NONE_LEFT = "No server would take requests: visitors get 503."


def takes_requests(server: ServerFields | Server) -> bool:
    return server.enabled and not server.draining and server.weight > 0


def is_served(site: VirtualHostFields | VirtualHost) -> bool:
    """Also if it is not meant to be: disabled, or in maintenance."""
    return not site.enabled or site.maintenance or any(takes_requests(server) for server in site.servers)


def must_be_meant(fields: VirtualHostFields, row: VirtualHost | None, *, is_meant: bool) -> None:
    """Raises NeedsConfirmation (409) if this save takes the last server out."""
    if not is_meant and not is_served(fields) and (row is None or is_served(row)):
        raise NeedsConfirmation(NONE_LEFT, {"servers": FieldError(NONE_LEFT)})
