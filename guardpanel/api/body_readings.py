"""Body readings as JSON."""

from guardpanel.api import nouns
from guardpanel.models.policies.body_reading import NOUN
from guardpanel.services import body_readings

router = nouns.rows(NOUN, body_readings, looks_in="names and reasons")
