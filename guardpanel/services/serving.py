"""Which servers of a virtual host take requests, and what is confirmed before none does."""

from guardpanel.errors import FieldError, NeedsConfirmation
from guardpanel.models import VirtualHost
from guardpanel.models.delivery.own_server import own_server
from guardpanel.models.path_binding import PathBindingColumns
from guardpanel.models.server import Server, ServerFields
from guardpanel.models.virtual_host import VirtualHostFields

NONE_LEFT = "No server would take requests: visitors get 503."


def takes_requests(server: ServerFields | Server) -> bool:
    return server.enabled and not server.draining and server.weight > 0


def is_served(site: VirtualHostFields | VirtualHost) -> bool:
    """Also if it is not meant to be: disabled, or in maintenance."""
    return not site.enabled or site.maintenance or any(takes_requests(server) for server in site.servers)


def is_path_served(path: PathBindingColumns) -> bool:
    """By its own servers, if it has any."""
    return not path.own_servers or any(takes_requests(own_server(line)) for line in path.own_servers)


def path_must_be_meant(fields: PathBindingColumns, row: PathBindingColumns | None, *, is_meant: bool) -> None:
    """The same of a path."""
    if not is_meant and not is_path_served(fields) and (row is None or is_path_served(row)):
        raise NeedsConfirmation(NONE_LEFT, {"own_servers": FieldError(NONE_LEFT)})


def must_be_meant(fields: VirtualHostFields, row: VirtualHost | None, *, is_meant: bool) -> None:
    """Raises NeedsConfirmation (409) if this save takes the last server out."""
    if not is_meant and not is_served(fields) and (row is None or is_served(row)):
        raise NeedsConfirmation(NONE_LEFT, {"servers": FieldError(NONE_LEFT)})
