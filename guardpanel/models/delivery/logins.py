"""Whether visitors log in with a user name and password."""

from guardpanel.models.meta import described
from guardpanel.models.types import Fields


class LoginColumns(Fields):
    """The fields that form, JSON and table share."""

    requires_login: bool = described(
        "Requires login",
        False,
        hint="Asks visitors for a user name and password (basic authentication). Add logins on the virtual host’s page.",
    )
    passes_login: bool = described(
        "Pass login to servers",
        False,
        hint="The Authorization header, with the password, where a login is required. Otherwise, servers don’t get it there.",
    )
