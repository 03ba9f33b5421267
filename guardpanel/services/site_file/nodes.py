"""YAML as nodes that know their line. Only what a configuration needs: no tags, no anchors, no key twice, few levels.

Scalars are those of YAML 1.2 (`no` is a text, and so is `12:30`), read by the field that they are for.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from guardpanel.errors import FieldError, Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.readable_yaml import Loader

LARGEST = 10 * 1024**2
"Bytes."

DEEPEST = 12
"Levels."

MOST = 500_000
"Values: each takes time, and a few bytes can be one."

NULL = {"", "~", "null", "Null", "NULL"}
BOOLEANS = {"true": True, "false": False}
NOT_PRINTABLE = re.compile(r"[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"What the reader of YAML stops at, without a line."
WHOLE = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)


@dataclass
class Node:
    """One of: a text, a list of nodes, nodes by key."""

    line: int
    text: str | None = None
    is_plain: bool = False
    items: list["Node"] | None = None
    by_key: dict[str, "Node"] | None = None
    key_line: int = 0
    "Of its key, if it has one."
    key: tuple[str, int] | None = field(default=None, repr=False)
    "Read, and not its value yet: with its line."

    @property
    def is_null(self) -> bool:
        return self.is_plain and self.text in NULL

    @property
    def value(self) -> Any:
        """As JSON has it: a plain number or boolean is one, other text is text."""
        if self.items is not None:
            return [each.value for each in self.items]
        if self.by_key is not None:
            return {key: each.value for key, each in self.by_key.items()}
        if self.is_null:
            return None
        if self.is_plain and self.text in BOOLEANS:
            return BOOLEANS[self.text]
        if self.is_plain and self.text and WHOLE.fullmatch(self.text):
            return int(self.text)
        return self.text

    @property
    def as_text(self) -> Any:
        """For fields that are text: what looks like a number is text, too."""
        if self.items is not None:
            return [each.as_text for each in self.items]
        return self.value if self.by_key is not None or self.is_null else self.text


def refuse(line: int, message: str, path: str = "file", code: FieldCode = FieldCode.INVALID) -> Invalid:
    return Invalid.of({path: FieldError(message, None, f"line {line}", code)})


def read(content: bytes | str, unwanted: threading.Event | None = None) -> Node:
    """The document. Raises Invalid (422) with the line, and Unwanted if it is not waited for any more."""
    if len(content) > LARGEST:
        raise Invalid.at("file", f"At most {LARGEST // 1024**2} MiB.", FieldCode.TOO_LONG)
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        return _Composing(unwanted).of(text)
    except UnicodeDecodeError as error:
        raise Invalid.at("file", f"This is not UTF-8: byte {error.start + 1:,}.") from None
    except yaml.MarkedYAMLError as error:
        lines = [mark.line + 1 for mark in (error.problem_mark, error.context_mark) if mark]
        last = text.rstrip("\n").count("\n") + 1  # What is left open is missing below the last line.
        raise refuse(min([*lines, last][0], last), f"This is not YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError:
        before = NOT_PRINTABLE.split(text, 1)[0]
        character = f"U+{ord(text[len(before)]):04X}"
        raise refuse(before.count("\n") + 1, f"This is not YAML: remove the control character {character}.") from None


class Unwanted(Exception):
    """Reading a large file takes seconds."""


class _Composing:
    def __init__(self, unwanted: threading.Event | None) -> None:
        self._unwanted = unwanted
        self._open: list[Node] = []
        self._root: Node | None = None
        self._count = 0

    def of(self, text: str) -> Node:
        events: Iterator[Any] = yaml.parse(text, Loader=Loader)
        for event in events:
            if take := _TAKEN.get(type(event)):
                take(self, event, event.start_mark.line + 1)
        return self._root or Node(1, by_key={})

    def document(self, _event: Any, line: int) -> None:
        if self._root is not None:
            raise refuse(line, "A file has one document. Remove “---” and what follows.")

    def scalar(self, event: Any, line: int) -> None:
        # A number of more than 18 digits stays text, which its field rejects in its own words.
        self._put(Node(line, text=event.value, is_plain=event.implicit[0] and not event.style), event)

    def sequence(self, event: Any, line: int) -> None:
        self._begin(Node(line, items=[]), event)

    def mapping(self, event: Any, line: int) -> None:
        self._begin(Node(line, by_key={}), event)

    def end(self, _event: Any, _line: int) -> None:
        self._open.pop()

    def alias(self, _event: Any, line: int) -> None:
        raise refuse(line, "Anchors and aliases (& and *) are not accepted. Write the value out, or quote it.")

    def _begin(self, node: Node, event: Any) -> None:
        self._put(node, event)
        self._open.append(node)
        if len(self._open) > DEEPEST:
            raise refuse(node.line, f"At most {DEEPEST} levels.")

    def _put(self, node: Node, event: Any) -> None:
        """Refuses what makes little text much, or into something else."""
        self._count += 1
        if self._unwanted is not None and self._unwanted.is_set():
            raise Unwanted
        if event.anchor is not None:
            self.alias(event, node.line)
        if event.tag is not None:
            raise refuse(node.line, "Tags (!) are not accepted. Write the value alone, or quote it.")
        if self._count > MOST:
            raise refuse(node.line, f"At most {MOST:,} values.", code=FieldCode.TOO_LONG)
        parent = self._open[-1] if self._open else None
        if parent is None:
            self._root = node
        elif parent.items is not None:
            parent.items.append(node)
        elif parent.by_key is not None and parent.key is not None:
            (key, node.key_line), parent.key = parent.key, None
            parent.by_key[key] = node
        elif parent.by_key is not None:
            _name(parent, parent.by_key, node)


def _name(parent: Node, by_key: dict[str, Node], node: Node) -> None:
    """The key of what follows."""
    if node.text is None:
        raise refuse(node.line, "A key must be text.")
    if node.text in by_key:
        raise refuse(node.line, f"{node.text} is listed twice, first in line {by_key[node.text].key_line}.")
    parent.key = node.text, node.line


_TAKEN = {
    yaml.DocumentStartEvent: _Composing.document,
    yaml.ScalarEvent: _Composing.scalar,
    yaml.SequenceStartEvent: _Composing.sequence,
    yaml.MappingStartEvent: _Composing.mapping,
    yaml.SequenceEndEvent: _Composing.end,
    yaml.MappingEndEvent: _Composing.end,
    yaml.AliasEvent: _Composing.alias,
}
