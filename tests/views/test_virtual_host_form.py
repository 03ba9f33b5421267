"""The form of a new virtual host."""

import re

import pytest

from tests.conftest import Person
from tests.factories import a_policy

pytestmark = pytest.mark.anyio


async def test_a_new_virtual_host_gets_the_oldest_policy_whatever_others_are_called(ada: Person) -> None:
    await ada.post("/policies", data=a_policy(name="API strict"))

    page = (await ada.get("/virtual-hosts/new")).text

    choice = re.search(r'<select[^>]*name="policy_id".*?</select>', page, re.DOTALL)
    assert choice
    assert "API strict" in choice[0]
    assert re.findall(r'<option value="(\d*)"[^>]*\bselected', choice[0]) == ["1"]
