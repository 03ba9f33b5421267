"""Policies as JSON."""

from guardpanel.api import nouns
from guardpanel.api.react.policies import PolicyDialect
from guardpanel.models.policies.policy import NOUN
from guardpanel.services import policies

router = nouns.rows(
    NOUN, policies, PolicyDialect(), looks_in="names and descriptions", deleting="409 while virtual hosts use it."
)
