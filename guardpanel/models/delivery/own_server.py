"""A path's own server is a line: its URL and what is other than usual, `http://10.0.0.7:3000 weight=50 draining`."""

from typing import Any

from guardpanel.models.refusing import refuse
from guardpanel.models.server import ServerFields
from guardpanel.models.types import endpoint

MOST = {"weight": 256, "connections": 100_000}
"Numbers that a line can have, and the largest ones."

FIELDS = {"connections": "max_connections"}
"By their name in a line, if it is another one."

FLAGS: dict[str, dict[str, bool]] = {
    "backup": {"backup": True},
    "draining": {"draining": True},
    "disabled": {"enabled": False},
}


def own_server(line: str) -> ServerFields:
    """Raises a PydanticCustomError for what is none."""
    url, *words = line.split()
    server = endpoint(url)
    values: dict[str, Any] = {}
    for word in map(str.lower, words):
        values |= _said_by(word)
    return ServerFields(address=server.address, scheme="https" if server.tls else "http", **values)


def line_of(server: ServerFields) -> str:
    """In canonical form: without what is as usual."""
    usual = ServerFields.model_fields
    numbers = {name: getattr(server, FIELDS.get(name, name)) for name in MOST}
    words = [f"{name}={value}" for name, value in numbers.items() if value != usual[FIELDS.get(name, name)].default]
    words += [
        word for word, sets in FLAGS.items() if all(getattr(server, name) is value for name, value in sets.items())
    ]
    return " ".join([server.url, *words])


def _said_by(word: str) -> dict[str, Any]:
    if word in FLAGS:
        return FLAGS[word]
    name, _, number = word.partition("=")
    if name not in MOST:
        raise refuse(
            f"{word[:60]} means nothing here. Known are weight=50, connections=20, backup, draining, disabled."
        )
    if not (number.isascii() and number.isdigit() and len(number) < 9 and int(number) <= MOST[name]):
        raise refuse(f"Enter a whole number of at most {MOST[name]:,} after {name}=.")
    return {FIELDS.get(name, name): int(number)}
