"""Custom rules as JSON."""

from guardpanel.api import nouns
from guardpanel.api.react.custom_rules import CustomRuleDialect
from guardpanel.models.rules.custom_rule import NOUN
from guardpanel.services import custom_rules

ROWS = nouns.Rows(NOUN, custom_rules, CustomRuleDialect())

router = ROWS.router(looks_in="messages, IDs and comments")
