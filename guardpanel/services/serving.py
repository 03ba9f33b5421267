"""Which servers of a virtual host take requests, and what is confirmed before none does."""

from collections.abc import Iterable, Sequence

from guardpanel.errors import FieldError, NeedsConfirmation
from guardpanel.models import VirtualHost
from guardpanel.models.delivery.own_server import own_server
from guardpanel.models.delivery.redirect import Redirect
from guardpanel.models.path_binding import PathBindingColumns
from guardpanel.models.server import Server, ServerFields
from guardpanel.models.virtual_host import VirtualHostFields

NONE_LEFT = "No server would take requests: visitors get 503."


def takes_requests(server: ServerFields | Server) -> bool:
    return server.enabled and not server.draining and server.weight > 0


def is_served(site: VirtualHostFields | VirtualHost, paths: Iterable[PathBindingColumns] = ()) -> bool:
    """Also if it is not meant to be: disabled, or in maintenance. One that redirects needs servers for its paths alone."""
    if not site.enabled or site.maintenance or any(map(takes_requests, site.servers)):
        return True
    redirects = site.redirect is not Redirect.NO
    return redirects and all(path.own_servers or path.redirect is not Redirect.NO for path in paths)


def is_path_served(path: PathBindingColumns, site: VirtualHostFields | VirtualHost) -> bool:
    """By its own servers, if it has any, else by those of the virtual host. Also if it is not meant to be."""
    if site.maintenance or path.redirect is not Redirect.NO:
        return True
    own = [own_server(line) for line in path.own_servers]
    return any(map(takes_requests, own or site.servers))


def path_must_be_meant(
    fields: PathBindingColumns, row: PathBindingColumns | None, site: VirtualHost, *, is_meant: bool
) -> None:
    """The same of a path."""
    if not is_meant and not is_path_served(fields, site) and (row is None or is_path_served(row, site)):
        raise NeedsConfirmation(NONE_LEFT, {"own_servers": FieldError(NONE_LEFT)})


def must_be_meant(
    fields: VirtualHostFields, row: VirtualHost | None, paths: Sequence[PathBindingColumns], *, is_meant: bool
) -> None:
    """Raises NeedsConfirmation (409) if this save takes the last server out."""
    if not is_meant and not is_served(fields, paths) and (row is None or is_served(row, paths)):
        raise NeedsConfirmation(NONE_LEFT, {"servers": FieldError(NONE_LEFT)})
