"""The traffic settings as JSON."""

from guardpanel.api import nouns
from guardpanel.models.traffic import NOUN
from guardpanel.services import traffic

router = nouns.settings(NOUN, traffic)
