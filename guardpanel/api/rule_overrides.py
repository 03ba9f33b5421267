"""Rule overrides as JSON."""

from guardpanel.api import nouns
from guardpanel.api.react.rule_overrides import OverrideDialect
from guardpanel.models.rules.rule_override import NOUN
from guardpanel.services import rule_overrides

router = nouns.rows(NOUN, rule_overrides, OverrideDialect())
