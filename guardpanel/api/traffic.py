"""The traffic settings as JSON."""

from fastapi import APIRouter

from guardpanel.api import nouns
from guardpanel.models.traffic import NOUN
from guardpanel.services import traffic

router = APIRouter(prefix="/api/v1/traffic", tags=["traffic"])

nouns.settings(router, NOUN, traffic)
