"""Which requests are meant: by path and method."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError
from sqlmodel import Field

from guardpanel.field_codes import FieldCode
from guardpanel.models.meta import Choice
from guardpanel.models.patterns import pattern
from guardpanel.models.policies.policy_lists import METHOD
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Lines, visible

LONGEST_PATH = 200
"Bytes, percent-encoded: the key of a map in HAProxy, where each request looks for it."


class PathMatch(Choice):
    ANY = "any", "Any path"
    EXACT = "exact", "Exactly"
    BELOW = "below", "This path and everything below"
    PATTERN = "pattern", "Matches the pattern"
    AS_SENT = "as_sent", "Exactly as sent", "With its escapes, as an event shows it. For paths such as /files/..%2Fa."


SENDABLE = re.compile(r"[!-~]+")
"What HAProxy accepts in a URL."


def one_path(text: str) -> str:
    text = visible(text.strip())
    if len(text) > 500:
        raise refuse("At most 500 characters.", FieldCode.TOO_LONG)
    return text


def known_methods(methods: list[str]) -> list[str]:
    known = list(dict.fromkeys(visible(method.strip()).upper() for method in methods))
    for method in known:
        if not METHOD.fullmatch(method):
            raise refuse(f"{method[:40]} is not an HTTP method.")
    return known


Methods = Annotated[Lines, AfterValidator(known_methods), Field(max_length=30)]
PathText = Annotated[str, AfterValidator(one_path)]


def path_for(match: PathMatch | None, path: str) -> str:
    """The path as it is kept, or refused where such a condition could not read it. None: the match itself was refused."""
    match match:
        case PathMatch.ANY:
            return ""
        case PathMatch.PATTERN:
            pattern(path)
        case PathMatch.EXACT | PathMatch.BELOW:
            plain_path(path, " Or choose Exactly as sent.")
        case PathMatch.AS_SENT:
            sent_path(path)
    return path


def plain_path(path: str, otherwise: str = "") -> None:
    """`otherwise`: what else there is for a path that cannot be entered decoded."""
    if not path.startswith("/"):
        raise refuse("Start the path with /.")
    if "?" in path:
        raise refuse("Enter the path without its query.")
    if re.search(r"%[0-9A-Fa-f]{2}", path):
        raise refuse(f"Enter the path decoded: é, not %C3%A9.{otherwise}")
    if re.search(r"(?:^|/)\.{1,2}(?:/|$)", path):
        raise refuse(f"Enter the path without . and .. segments.{otherwise}")


def sent_path(path: str) -> None:
    if not path.startswith("/"):
        raise refuse("Start the path with /.")
    if "?" in path or "#" in path:
        raise refuse("Enter the path without its query.")
    if not SENDABLE.fullmatch(path):
        raise refuse("Enter the path as it was sent: %C3%A9, not é, and %20, not a space.")


def bound_path(text: str) -> str:
    """A path that HAProxy compares with what it decodes: without what is decoded to something else."""
    path = one_path(text)
    if not path:
        raise refuse("Enter a path, such as /login.")
    plain_path(path)
    if character := re.search(r"[\s\\;#%\"'<>^`{|}]|//", path):
        raise refuse(f"Enter the path without {character[0].strip() or 'spaces'}.")
    if re.search(r"\.(/|$)", path):
        raise refuse("No part of the path may end in a dot.")
    if path.endswith("*"):  # It would be compared as a character, and what is below would be unprotected.
        raise refuse("Remove the * at the end: there are no wildcards. A path can include everything below it.")
    if len(path.encode()) > LONGEST_PATH:
        raise refuse(f"At most {LONGEST_PATH} bytes.", FieldCode.TOO_LONG)
    return path.removesuffix("/") or "/"


def begun_path(text: str) -> str:
    """Or the beginning of paths, with `*` at its end: `/admin*` also has `/admin.php`."""
    path = one_path(text)
    beginning = path.removesuffix("*")
    known = bound_path(beginning)
    return known if beginning in {path, ""} or beginning.endswith("/") else f"{known}*"


def bound_paths(entries: list[str]) -> list[str]:
    """Each once. Of several, what is refused is named."""
    return _each_once(entries, bound_path)


def begun_paths(entries: list[str]) -> list[str]:
    return _each_once(entries, begun_path)


def _each_once(entries: list[str], read: Callable[[str], str]) -> list[str]:
    return list(dict.fromkeys(_named_path(entry, read) for entry in entries))


def _named_path(entry: str, read: Callable[[str], str]) -> str:
    try:
        return read(entry)
    except PydanticCustomError as error:
        code = (error.context or {})["code"]
        raise refuse(f"{visible(entry)[:60]}: {error.message()}", code) from None
