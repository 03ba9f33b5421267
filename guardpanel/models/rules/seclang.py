"""Rules of SecLang: from text to links of a chain and back, as Coraza's parser reads them (internal/seclang of Coraza 3.8)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
OPERATOR = re.compile(r"(!?)@([A-Za-z0-9_]+)(?: (.*))?", re.DOTALL)
NEEDS_QUOTES = re.compile(r"[,' ]")


class NotSecLang(ValueError):
    """Why a text is no rule, and in which of its lines (from 1)."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.message, self.line = message, line


@dataclass(frozen=True)
class Action:
    """`msg:'…'`; the value without its quotes, empty where there is none."""

    name: str
    value: str = ""


@dataclass(frozen=True)
class Link:
    """A SecRule, or a SecAction, which has no operator."""

    targets: tuple[str, ...]
    operator: str
    argument: str
    negated: bool
    actions: tuple[Action, ...]
    line: int = field(default=1, compare=False)

    def values(self, name: str) -> list[str]:
        return [action.value for action in self.actions if action.name == name]

    def has(self, name: str) -> bool:
        return any(action.name == name for action in self.actions)


def parse(text: str) -> list[Link]:
    """The links of one rule. Raises NotSecLang."""
    links = [_link(line, written) for line, written in _logical_lines(text)]
    if not links:
        raise NotSecLang("Enter a SecRule or SecAction.")
    for before, link in pairwise(links):
        if not before.has("chain"):
            raise NotSecLang("One rule only. Add another custom rule for this one.", link.line)
    if links[-1].has("chain"):
        raise NotSecLang("The last link can’t have chain: nothing follows it.", links[-1].line)
    return links


def parse_link(text: str) -> Link:
    """One link, whether or not another follows it. Raises NotSecLang."""
    lines = list(_logical_lines(text))
    if len(lines) != 1:
        raise NotSecLang("Enter one SecRule or SecAction.")
    return _link(*lines[0])


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """As Coraza joins them: a backslash at the end goes on with the next line; comments and empty lines count nowhere."""
    joined, first = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        first = first or number
        if stripped.endswith("\\"):
            joined += stripped[:-1]
            continue
        yield first, joined + stripped
        joined, first = "", 0
    if first:
        raise NotSecLang("The last line can’t end with a backslash.", first)


def _link(line: int, written: str) -> Link:
    directive, _, rest = written.partition(" ")
    match directive.lower():
        case "secrule":
            return _rule(line, rest.strip())
        case "secaction":
            quoted = len(rest) > 1 and rest.strip().startswith('"') and rest.strip().endswith('"')
            actions = rest.strip()[1:-1] if quoted else rest.strip()
            return Link((), "", "", negated=False, actions=parse_actions(actions, line), line=line)
    raise NotSecLang(f"{directive[:40]} can’t be part of a rule. Use SecRule and SecAction only.", line)


def _rule(line: int, rest: str) -> Link:
    targets, _, rest = rest.partition(" ")
    quoted = QUOTED.match(rest.lstrip())
    if not quoted:
        raise NotSecLang('Put the operator between double quotes: SecRule ARGS "@rx …" "…".', line)
    actions = rest.lstrip()[quoted.end() :].strip()
    if actions and not (len(actions) > 1 and actions.startswith('"') and actions.endswith('"')):
        raise NotSecLang("Put the actions between double quotes, after the operator.", line)
    negated, operator, argument = _operator(quoted[1].replace('\\"', '"'), line)
    return Link(
        tuple(split_targets(targets)),
        operator,
        argument,
        negated=negated,
        actions=parse_actions(actions[1:-1], line),
        line=line,
    )


def _operator(text: str, line: int) -> tuple[bool, str, str]:
    """`!@rx …`; without a name it is @rx."""
    if not text.startswith(("@", "!@")):
        return text.startswith("!"), "rx", text.removeprefix("!").strip()
    parts = OPERATOR.fullmatch(text)
    if not parts:
        raise NotSecLang(f"{text[:40]} is not an operator.", line)
    return bool(parts[1]), parts[2], (parts[3] or "").strip()


def split_targets(text: str) -> list[str]:
    """`ARGS:a|!ARGS:/b|c/` divided at what is in no pattern."""
    targets, current, in_pattern = [], "", False
    for at, character in enumerate(text):
        begins = current.endswith(":") and current.lstrip("!&") != "XML:"  # whose selectors are paths
        if character == "/" and (in_pattern or begins) and not _is_escaped(text, at):
            in_pattern = not in_pattern
        if character == "|" and not in_pattern:
            targets.append(current)
            current = ""
        else:
            current += character
    return [*targets, current]


def _is_escaped(text: str, at: int) -> bool:
    before = text[:at]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def parse_actions(text: str, line: int = 1) -> tuple[Action, ...]:
    """`deny,status:403,msg:'…'`. Raises NotSecLang."""
    return tuple(_action(part, line) for part in _divided(text, line)) if text.strip() else ()


def _divided(text: str, line: int) -> Iterator[str]:
    """At commas outside single quotes; whatever follows a backslash is neither, and neither is the first character."""
    begin, in_quotes = 0, False
    for at in range(1, len(text)):
        if text[at - 1] == "\\":
            continue
        if text[at] == "'":
            in_quotes = not in_quotes
        elif text[at] == "," and not in_quotes:
            yield text[begin:at]
            begin = at + 1
    if in_quotes:  # Coraza only warns, and takes all further actions for a part of this one.
        raise NotSecLang("Close the single quote in the actions.", line)
    yield text[begin:]


def _action(part: str, line: int) -> Action:
    name, _, value = part.partition(":")
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    if not name.strip():
        raise NotSecLang("Remove the comma without an action.", line)
    return Action(name.strip().lower(), value)


def written(link: Link) -> str:
    """The link in one line, as `parse` reads it."""
    actions = written_actions(link.actions)
    if not link.operator:
        return f'SecAction "{actions}"'
    return f'{_head(link)} "{actions}"' if actions else _head(link)


def written_actions(actions: Iterable[Action]) -> str:
    return ",".join(map(_written_action, actions))


def pretty(links: Sequence[Link]) -> str:
    """The whole rule for people: an action a line."""
    lines: list[str] = []
    for depth, link in enumerate(links):
        indent = " " * 4 * min(depth, 1)
        head = _head(link) if link.operator else "SecAction"
        actions = f",\\\n{indent}    ".join(map(_written_action, link.actions))
        lines.append(f'{indent}{head} \\\n{indent}    "{actions}"' if actions else f"{indent}{head}")
    return "\n".join(lines)


def _head(link: Link) -> str:
    argument = link.argument.replace('"', '\\"')
    operator = f"{'!' * link.negated}@{link.operator} {argument}".rstrip()
    return f'SecRule {"|".join(link.targets)} "{operator}"'


def _written_action(action: Action) -> str:
    if not action.value:
        return action.name
    quoted = NEEDS_QUOTES.search(action.value) or action.name in {"msg", "tag", "severity", "setvar", "logdata", "ver"}
    return f"{action.name}:'{action.value}'" if quoted else f"{action.name}:{action.value}"


def can_be_quoted(argument: str) -> bool:
    """Whether SecLang can say it: of backslashes before a quote, or at the end, it takes the last for its own."""
    return not re.search(r'(?<!\\)(?:\\\\)*\\(?="|$)', argument)
