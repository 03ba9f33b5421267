"""Conditional blocks: `.if`, `.elif`, `.else`, `.endif` (HAProxy configuration manual, 2.4)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from guardpanel.errors import Invalid

CALL = re.compile(r"(!*)\s*(\w+)\(([^()]*)\)")

DEEPEST = 64


@dataclass
class _Block:
    condition: str
    is_true: bool | None
    "None: it can't be decided here."
    was_true: bool = False
    "An earlier branch was taken."
    is_open: bool = False
    "An earlier branch can't be decided."

    @property
    def why_not(self) -> str:
        if self.is_true is None or self.is_open:
            return f"It depends on “{self.condition[:80]}”, which can’t be decided here."
        return "" if self.is_true and not self.was_true else f"“{self.condition[:80]}” is not so here."


def decided(condition: str, environment: Mapping[str, str]) -> bool | None:
    """By constants and environment variables. What depends on the HAProxy is not known."""
    for operator, wins in (("||", True), ("&&", False)):
        if operator in condition:
            parts = [decided(part, environment) for part in condition.split(operator)]
            return wins if wins in parts else None if None in parts else not wins
    text = condition.strip()
    if text.lstrip("!") in {"0", "1", "true", "false", ""}:
        return (text.lstrip("!") in {"1", "true"}) != (text.count("!") % 2 == 1)
    call = CALL.fullmatch(text)
    if call is None:
        return None
    value = _called(call[2], [part.strip().strip("\"'") for part in call[3].split(",")], environment)
    return None if value is None else value != (len(call[1]) % 2 == 1)


def _called(name: str, arguments: list[str], environment: Mapping[str, str]) -> bool | None:
    if name == "defined" and len(arguments) == 1:
        return arguments[0] in environment
    if name in {"streq", "strneq", "strstr"} and len(arguments) == 2:
        first, second = arguments
        return second in first if name == "strstr" else (first == second) == (name == "streq")
    return None


class Blocks:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._open: list[_Block] = []

    def take(self, words: list[str]) -> bool:
        """Whether it is a line of these. Raises Invalid (422) where they do not fit."""
        if words[0] not in {".if", ".elif", ".else", ".endif"}:
            return False
        condition = " ".join(words[1:])
        if words[0] == ".if":
            if len(self._open) == DEEPEST:
                raise Invalid.at("file", f"At most {DEEPEST} conditional blocks within each other.")
            self._open.append(_Block(condition, decided(condition, self._environment)))
        elif not self._open:
            raise Invalid.at("file", f"{words[0]} is without its .if.")
        elif words[0] == ".endif":
            self._open.pop()
        else:
            self._next_branch(self._open[-1], condition if words[0] == ".elif" else "")
        return True

    def _next_branch(self, block: _Block, condition: str) -> None:
        block.was_true = block.was_true or block.is_true is True
        block.is_open = block.is_open or block.is_true is None
        block.is_true = decided(condition, self._environment) if condition else True
        block.condition = condition or f"else of {block.condition}"

    @property
    def is_undecided(self) -> bool:
        return any(block.is_true is None or block.is_open for block in self._open)

    def why_not(self) -> str:
        """Why the lines here do not count. Empty: they do."""
        return next((block.why_not for block in self._open if block.why_not), "")
