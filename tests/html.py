"""What a reader of a page sees: its words, and its form fields with their values."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

SKIPPED = {"script", "style", "head"}


@dataclass
class Read:
    """A page: `values` by field name, `words` one after the other, `tags` with their attributes."""

    values: dict[str, list[str]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def value(self, name: str) -> str:
        return self.values[name][0]

    def find(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        wanted = attributes.items()
        return [
            attributes
            for name, attributes in self.tags
            if name == tag and all(attributes.get(k) == v for k, v in wanted)
        ]

    def error_at(self, name: str) -> bool:
        """Whether the field is marked as wrong, with words at it."""
        marked = any(
            attributes.get("name") == name and attributes.get("aria-invalid") == "true" for _, attributes in self.tags
        )
        return marked and any(attributes.get("id") == f"f-{name}-error" for _, attributes in self.tags)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Read()
        self.skipped = 0
        self.textarea: str | None = None
        self.select: str | None = None

    def updatepos(self, i: int, j: int) -> int:
        """Nobody asks for lines and columns."""
        return j

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.page.tags.append((tag, attributes))
        self.skipped += tag in SKIPPED
        if tag == "textarea":
            self.textarea = attributes.get("name", "")
            self.page.values[self.textarea] = [""]
        elif tag == "select":
            self.select = attributes.get("name", "")
        elif tag == "option" and self.select is not None and "selected" in attributes:
            self.page.values.setdefault(self.select, []).append(attributes.get("value", ""))
        elif tag == "input":
            self._input(attributes)

    def _input(self, attributes: dict[str, str]) -> None:
        if attributes.get("type") in {"checkbox", "radio"} and "checked" not in attributes:
            return
        if "name" in attributes:
            self.page.values.setdefault(attributes["name"], []).append(attributes.get("value", "on"))

    def handle_endtag(self, tag: str) -> None:
        self.skipped -= tag in SKIPPED
        if tag == "textarea" and self.textarea is not None:
            # A browser drops the line break after <textarea>.
            self.page.values[self.textarea] = [self.page.values[self.textarea][0].removeprefix("\n")]
            self.textarea = None
        elif tag == "select":
            self.select = None

    def handle_data(self, data: str) -> None:
        if self.textarea is not None:
            self.page.values[self.textarea][0] += data
        elif not self.skipped:
            self.page.words.append(data)


def read(html: str) -> Read:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.page
