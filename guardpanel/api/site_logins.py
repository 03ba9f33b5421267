"""Logins as JSON."""

from guardpanel.api import nouns
from guardpanel.models.site_login import NOUN
from guardpanel.services import site_logins

router = nouns.rows(NOUN, site_logins, looks_in="user names and notes")
