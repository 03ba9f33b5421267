"""Bodies by a seed and a number: the same two make the same body, for ever as long as these modules stay as they are."""

import random

from tests.parsers.bodies import documents, forms, multipart, xml
from tests.parsers.bodies.bytes import mutated
from tests.parsers.body import Body

MADE_BY = {"multipart": multipart.made, "urlencoded": forms.made, "json": documents.made, "xml": xml.made}
WEIGHTS = (6, 2, 2, 2)
"""A form in parts can be written in most ways."""

MUTATED = 0.25
"""The share of bodies of which bytes are changed after they were made."""


def body(seed: int, number: int) -> Body:
    chance = random.Random(f"{seed}:{number}")
    (kind,) = chance.choices(list(MADE_BY), WEIGHTS)
    made = MADE_BY[kind](chance)
    if chance.random() < MUTATED:
        made = mutated(chance, made)
    return made
