"""A rule exclusion in SecLang: the form that does what was asked and nothing else (docs/exclusions.md, form A)."""

from collections.abc import Iterable, Iterator
from typing import Any

from guardpanel.models.rules.custom_rule_text import FIRST_ID as FIRST_CUSTOM_ID
from guardpanel.models.rules.rule_choices import ids
from guardpanel.models.rules.rule_exclusion import NOUN, RuleExclusion, RuleExclusionColumns, Target
from guardpanel.rendering.conditions import PLAIN, Chain, Link, is_exactly, of_requests, own
from guardpanel.rendering.rows import ColumnReader, Row
from guardpanel.rendering.templates import template
from guardpanel.rendering.tokens import Token, built, exactly, literal, matching, split_origins

OF_FIELDS = ColumnReader(RuleExclusionColumns)

FIRST_ID = 110_000
AT_ONCE = 20
"Actions in one line: Coraza drops lines of 64 KiB and what follows them."

VARIABLES = {
    Target.ARGUMENT: ("ARGS",),
    Target.JSON: ("ARGS",),
    Target.ARGUMENT_NAME: ("ARGS_NAMES",),
    Target.COOKIE: ("REQUEST_COOKIES",),
    Target.COOKIE_NAME: ("REQUEST_COOKIES_NAMES",),
    Target.HEADER: ("REQUEST_HEADERS",),
    Target.HEADER_NAME: ("REQUEST_HEADERS_NAMES",),
    Target.FILE: ("FILES", "FILES_NAMES"),
    Target.PART: ("MULTIPART_PART_HEADERS",),
    Target.XML: ("XML:/*", "XML://@*"),
    Target.PATH: ("REQUEST_FILENAME", "REQUEST_BASENAME"),
    Target.URL: ("REQUEST_URI", "REQUEST_URI_RAW", "REQUEST_LINE", "QUERY_STRING"),
    Target.BODY: ("REQUEST_BODY",),
    Target.REQUEST: (),
}
"What the engine calls them. Rules look at some of several: an action for the others does nothing."

IN_PLACES = {
    Target.ARGUMENT: ("ARGS_GET", "ARGS_POST"),
    Target.JSON: ("ARGS_POST",),
    Target.ARGUMENT_NAME: ("ARGS_GET_NAMES", "ARGS_POST_NAMES"),
}
"Custom rules may tell arguments of the query and of the body apart: these are collections of their own."


def variables(target: Target, choice: str) -> tuple[str, ...]:
    """All that an exclusion of a rule, a range or a tag is for."""
    numbers = ids(choice)
    has_custom_rules = numbers is None or numbers.stop > FIRST_CUSTOM_ID
    return VARIABLES[target] + (IN_PLACES.get(target, ()) if has_custom_rules else ())


class ExclusionState(RuleExclusionColumns):
    """All fields of a rule exclusion, as the row has them."""

    id: int
    policy_id: int

    @classmethod
    def of(cls, row: RuleExclusion) -> "ExclusionState":
        return cls.from_row(row.model_dump())

    @classmethod
    def from_row(cls, row: Row) -> "ExclusionState":
        values: dict[str, Any] = OF_FIELDS.by_name(row)
        return cls.model_construct(set(values), id=row["id"], policy_id=row["policy_id"], **values)


def chains(exclusions: Iterable[ExclusionState]) -> list[Chain]:
    """As they stand before custom rules and the rule set, with ids of their own."""
    rendered: list[Chain] = []
    for exclusion in exclusions:
        actions, tests = tuple(removals(exclusion)), tuple(links(exclusion))
        for at in range(0, len(actions), AT_ONCE):
            phase = 2 if exclusion.only_if else 1
            acts_for = "target_name" if exclusion.name_is_pattern else tests[-1].field if tests else "rules"
            rendered.append(
                Chain(
                    NOUN.key, exclusion.id, FIRST_ID + len(rendered), phase, tests, actions[at : at + AT_ONCE], acts_for
                )
            )
    return rendered


def removals(exclusion: ExclusionState) -> Iterator[Token]:
    """`ctl:ruleRemoveTargetById=942100;ARGS:content`: an action for each rule and variable."""
    name = key(exclusion)
    for choice in exclusion.rules:
        by = own("Tag" if ids(choice) is None else "Id")
        fields = [built("{}{}", own(variable), name) for variable in variables(exclusion.target, choice)]
        for field in fields:
            yield _action(built("ruleRemoveTargetBy{}={};{}", by, literal(choice), field))
        if not fields:
            yield _action(built("ruleRemoveBy{}={}", by, literal(choice)))


def _action(words: Token) -> Token:
    """Quoted where a pattern's comma would begin another action."""
    return built("ctl:'{}'", words) if "," in words else built("ctl:{}", words)


def key(exclusion: ExclusionState) -> Token:
    """Which of a variable's fields. The engine compares names in lower case, also with patterns."""
    name = exclusion.target_name
    if not name:
        return built("")
    if exclusion.name_is_pattern:
        return built(":/(?i)^(?:{})$/", matching(name))
    if exclusion.target is Target.JSON:
        return _json_key(name.removeprefix("json."))
    return built(":{}", literal(name)) if PLAIN.fullmatch(name) else built(":/(?i)^{}$/", exactly(name))


def _json_key(name: str) -> Token:
    if PLAIN.fullmatch(name):
        return built(":json.{}", literal(name))
    path = built("json")
    for step in name.split("."):
        path = built(r"{}\.\d+", path) if step == "*" else built(r"{}\.{}", path, exactly(step))
    return built(":/(?i)^{}$/", path)


def links(exclusion: ExclusionState) -> Iterator[Link]:
    """What a request must be like, the narrowest first. The actions stand in the last: in another one, they act alone."""
    yield from of_requests(exclusion.path_match, exclusion.path, exclusion.methods)
    for name, _, value in (condition.partition("=") for condition in exclusion.only_if):
        selector = literal(name) if PLAIN.fullmatch(name) else built("/^{}$/", exactly(name))
        yield Link(built("ARGS:{}", selector), is_exactly(value), "only_if")
        yield Link(built("&ARGS:/(?i)^{}$/", _read_as(name)), built("@eq 1"), "only_if")


def _read_as(name: str) -> Token:
    """All names under which a server may read this argument: of several with them, it may read another one. PHP drops spaces
    before a name, ends it at NUL, and has _ for a space, a dot and an open bracket (php_register_variable_ex() in its
    main/php_variables.c); name[] and name[x] are the name's, too, and some servers merge a JSON body with the arguments."""
    pattern = built(r"(?:json\.)?\x20*")
    for letter in name.removeprefix("json."):
        pattern = built("{}{}", pattern, built(r"[_.\x20\x5b]") if letter in "_. [" else exactly(letter))
    return built(r"{}(?s:[\x00\x5b].*)?", pattern)


def directives(exclusion: ExclusionState) -> str:
    """It alone, as a person may read it."""
    text, _ = split_origins(template("coraza/_exclusions.conf.j2").render(exclusions=chains([exclusion])))
    return text.lstrip("\n").partition("\n")[2]  # without the comment
