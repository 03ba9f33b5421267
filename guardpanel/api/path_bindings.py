"""Path bindings as JSON."""

from guardpanel.api import nouns
from guardpanel.api.react.path_bindings import BindingDialect
from guardpanel.models.path_binding import NOUN
from guardpanel.services import path_bindings

router = nouns.rows(NOUN, path_bindings, BindingDialect(), looks_in="paths and notes")
