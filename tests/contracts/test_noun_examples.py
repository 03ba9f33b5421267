"""The example of each noun in the document is accepted, as a reader would send it."""

from collections.abc import Mapping

import httpx2
import pytest

from guardpanel.models import NOUNS
from tests.contracts.operations import DOCUMENT

pytestmark = pytest.mark.anyio


def example(key: str) -> Mapping[str, object]:
    """As the document has it."""
    (body,) = DOCUMENT["components"]["schemas"][f"{NOUNS[key].table.__name__}In"]["examples"]
    return body  # type: ignore[no-any-return]


@pytest.mark.parametrize("key", NOUNS)
async def test_the_example_of_a_noun_is_saved(ada_api: httpx2.AsyncClient, key: str) -> None:
    noun = NOUNS[key]
    if noun.within:
        parent = NOUNS[noun.parent]
        made = await ada_api.post(f"/api/v1/{parent.api}", json=dict(example(parent.key)))
        place = noun.api.format(**{noun.within: made.json()["id"]})
    else:
        place = noun.api
    send = ada_api.patch if noun.only_name else ada_api.post
    answer = await send(f"/api/v1/{place}", json=dict(example(key)))

    assert answer.is_success, answer.text
    taken = answer.json()
    same = [name for name, value in example(key).items() if name in taken and not isinstance(value, list)]
    assert [taken[name] for name in same] == [example(key)[name] for name in same]
