"""Which path servers get in place of the one that visitors ask for."""

import re
from typing import Annotated

from pydantic import AfterValidator

from guardpanel.models.meta import described
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, visible

SIGN = r"(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})"
ODD = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?=/|$)|%(?:2f|5c|00)", re.IGNORECASE)


def path_for_servers(text: str) -> str:
    """`/v2`, or `/` for nothing: what follows is added to it. Encoded, as servers get it."""
    path = visible(text.strip())
    if not path or path == "/":
        return path
    if not path.startswith("/"):
        raise refuse("Start the path with /.")
    path = path.removesuffix("/")
    if not re.fullmatch(rf"(?:/{SIGN}+)+", path) or ODD.search(path):
        raise refuse("Enter a path of letters, digits and the signs of URLs, encoded, without //, . and .. segments.")
    return path


class ServerPathColumns(Fields):
    """The field that form, JSON and table share."""

    server_path: Annotated[str, AfterValidator(path_for_servers)] = described(
        "Path sent to servers",
        "",
        max_length=500,
        placeholder="/app",
        hint="A virtual host’s is put in front of every path, a path binding’s replaces its path: / leaves it out. "
        "The WAF inspects what visitors send.",
    )
