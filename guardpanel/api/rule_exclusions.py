"""Rule exclusions as JSON."""

from guardpanel.api import nouns
from guardpanel.api.react.rule_exclusions import ExclusionDialect
from guardpanel.models.rules.rule_exclusion import NOUN
from guardpanel.services import rule_exclusions

router = nouns.rows(NOUN, rule_exclusions, ExclusionDialect(), looks_in="names, reasons and owners")
