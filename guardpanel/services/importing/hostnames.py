"""Which hostnames a pattern stands for: those that guardpanel can serve instead of it."""

import re

from pydantic_core import PydanticCustomError

from guardpanel.models.types import hostname

REGEX_START = re.compile(r"\^?(?P<any>\.\*|\.\+|\[\^\.\]\+|\(\.\*\)|\(\.\+\))?(?P<rest>.*)")

OPTIONAL = re.compile(r"^\((?:\?:)?(?P<part>[a-z0-9-]+\\\.)\)\?(?P<rest>.*)", re.IGNORECASE)


def names_of(how: str, pattern: str) -> set[str]:
    """Empty: guardpanel has none for it."""
    return READERS.get(how, _none)(pattern.strip().lower())


def _none(_pattern: str) -> set[str]:
    return set()


def _valid(*names: str) -> set[str]:
    """All of them, or none."""
    try:
        known = {hostname(name) for name in names}
    except PydanticCustomError:
        return set()
    return known if all("." in name or len(names) == 1 for name in known) else set()


def _exact(pattern: str) -> set[str]:
    return _valid(re.sub(r":\d+$", "", pattern))


def _beginning(pattern: str) -> set[str]:
    """A whole name is meant if it ends like one."""
    whole = re.sub(r":\d*$", "", pattern)
    return _valid(whole) if re.search(r"[a-z0-9-]\.[a-z]{2,}$", whole) else set()


def _ending(pattern: str) -> set[str]:
    bare = pattern.lstrip(".")
    return _valid(f"*.{bare}") if pattern.startswith(".") else _valid(bare, f"*.{bare}")


def _regex(pattern: str) -> set[str]:
    """A name with its dots escaped, anchored, with anything or an optional label in front."""
    if not pattern.endswith("$"):
        return set()
    match = REGEX_START.fullmatch(pattern[:-1])
    rest = match["rest"] if match else ""
    if match and match["any"]:
        return _valid(f"*{_plain(rest)}") if _plain(rest).startswith(".") else set()
    if not pattern.startswith("^"):
        return set()
    optional = OPTIONAL.match(rest)
    if optional:
        name = _plain(optional["rest"])
        return _valid(name, _plain(optional["part"]) + name) if name else set()
    return _valid(_plain(rest)) if _plain(rest) else set()


def _plain(regex: str) -> str:
    """Without its escapes. Empty: it is more than a text."""
    regex = re.sub(r"\(:\[0-9\][+*]\)\?$|\(:\\d[+*]\)\?$", "", regex)
    return "" if re.search(r"(?<!\\)[.*+?()\[\]{}|^$]|\\[^.-]", regex) else regex.replace("\\", "")


READERS = {"": _exact, "beg": _beginning, "end": _ending, "dom": lambda text: _valid(text, f"*.{text}"), "reg": _regex}
