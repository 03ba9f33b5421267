"""Error page sets as JSON."""

from guardpanel.api import nouns
from guardpanel.models.error_page import NOUN
from guardpanel.services import error_pages

router = nouns.rows(NOUN, error_pages, looks_in="names, site names, texts and notes")
