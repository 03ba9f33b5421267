"""Describes values of an earlier state that are dropped when it is read (models/former_values.py)."""

from collections.abc import Container

from guardpanel.models import NOUNS
from guardpanel.models.former_values import mended
from guardpanel.models.meta import label, lowered
from guardpanel.models.noun import Key
from guardpanel.rendering import Rows

MOST_NAMED = 5


def without(state: Rows, touched: Container[Key] | None = None) -> str:
    """For the end of a sentence: `, without values that are no longer accepted (Default: skipped paths /a/./b)`. Empty if nothing
    is dropped. Limited to the rows that are `touched`, if given."""
    words = []
    for noun in NOUNS.values():
        for row in state.get(noun.table_name, ()):
            if touched is None or (noun.key, row["id"]) in touched:
                _, dropped = mended(noun.table_name, row)
                words += [
                    f"{noun.name(row)}: {lowered(label(noun.fields, value.field))} {value.value}" for value in dropped
                ]
    more = f" and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else ""
    return f", without values that are no longer accepted ({'; '.join(words[:MOST_NAMED])}{more})" if words else ""
