"""Header rules as JSON."""

from guardpanel.api import nouns
from guardpanel.models.header_rule import NOUN
from guardpanel.services import header_rules

router = nouns.rows(
    NOUN, header_rules, looks_in="headers, values and notes", order="the order in which they are applied"
)
