"""The traffic settings as JSON."""

from guardpanel.api import single_rows
from guardpanel.models.traffic import NOUN
from guardpanel.services import traffic

router = single_rows.settings(NOUN, traffic)
