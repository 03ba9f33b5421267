"""A body as it is sent, and what somebody made of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Body:
    """One request's body. `kind` says what made it, for people."""

    content_type: str
    """The header; UTF-8, since the agent's control socket takes no other bytes."""
    content: bytes
    kind: str = ""

    def __str__(self) -> str:
        return f"Content-Type: {self.content_type!r}\n    {self.content!r}"


@dataclass(frozen=True)
class Value:
    """One value that an application is handed, and under which name: a path, where names have parts."""

    reader: str
    place: str
    """`field`, `file` (the name that the client gave it), `json` or `xml`."""
    name: tuple[str, ...]
    text: bytes

    def __str__(self) -> str:
        return f"{self.reader} hands out the {self.place} {'.'.join(self.name)!r} = {self.text!r}"
