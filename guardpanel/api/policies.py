"""Policies as JSON."""

from guardpanel.api import nouns
from guardpanel.api.react.policies import PolicyDialect
from guardpanel.models.policies.policy import NOUN
from guardpanel.services import policies

ROWS = nouns.Rows(NOUN, policies, PolicyDialect())

router = ROWS.router(
    query=nouns.NumberedListQuery, looks_in="names and descriptions", deleting="409 while virtual hosts use it."
)
