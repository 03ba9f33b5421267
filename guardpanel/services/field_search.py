"""Search for what can be set: fields by their label and name, or else by their hint."""

from dataclasses import dataclass

from guardpanel.models import NOUNS
from guardpanel.models.meta import About, about
from guardpanel.models.noun import Noun

MOST = 12


@dataclass(frozen=True)
class FieldMatch:
    label: str
    where: str
    "`of a policy`"
    url: str


def find(q: str) -> list[FieldMatch]:
    """Fields in which each search term begins a word."""
    terms = q.lower().split()
    fields = [(noun, field) for noun in NOUNS.values() for field in about(noun.fields).values() if field.title]
    matches = [pair for pair in fields if _has(terms, f"{pair[1].title} {pair[1].name.replace('_', ' ')}")]
    matches = matches or [pair for pair in fields if _has(terms, f"{pair[1].hint} {' '.join(_choices(pair[1]))}")]
    return [_match(noun, field) for noun, field in matches[:MOST]]


def _has(terms: list[str], text: str) -> bool:
    words = f" {' '.join(text.lower().replace('(', ' ').split())}"
    return bool(terms) and all(f" {term}" in words for term in terms)


def _choices(field: About) -> list[str]:
    return [f"{choice.word} {choice.hint}" for choice in field.choices]


def _match(noun: Noun, field: About) -> FieldMatch:
    """A field of many rows leads to their list. One of a row on a page of another noun, to the list of those."""
    if noun.only_name:
        return FieldMatch(field.title, noun.only_name, f"{noun.path}/edit#f-{field.name}")
    owner = NOUNS[noun.parent] if noun.within else noun
    where = f"of each {noun.in_sentence}" + (f", on the page of its {owner.in_sentence}" if noun.within else "")
    return FieldMatch(field.title, where, owner.path)
