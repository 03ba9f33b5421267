"""The pages of rule overrides."""

import httpx2
import pytest

from tests.factories import an_override
from tests.html import read

pytestmark = pytest.mark.anyio

PLACE = "/policies/1/rules"


async def test_one_is_added_shown_edited_and_deleted(ada: httpx2.AsyncClient) -> None:
    form = read((await ada.get(f"{PLACE}/new?rule=942100")).text)
    assert form.value("rule") == "942100"

    made = await ada.post(PLACE, data=an_override(reason="Static pages"))
    assert made.headers["location"] == f"{PLACE}/1"
    page = (await ada.get(f"{PLACE}/1")).text
    assert "942100 off" in page
    assert "ada@example.org" in page  # its owner, as nobody else is named
    assert f'href="{PLACE}/1"' in (await ada.get("/policies/1")).text
    assert f'href="{PLACE}/1"' in (await ada.get("/search?q=942100")).text

    edited = await ada.post(f"{PLACE}/1", data=an_override(rule="942", version="1"))
    assert edited.headers["location"] == f"{PLACE}/1"
    changes = (await ada.get("/changes")).text
    assert "Default: added rule override 942100 off" in changes
    assert "Default: 942 off: rule 942100 → 942" in changes

    gone = await ada.post(f"{PLACE}/1/delete", data={"version": "2"})
    assert gone.headers["location"] == "/policies/1"


async def test_a_duplicate_is_reported_at_its_field(ada: httpx2.AsyncClient) -> None:
    await ada.post(PLACE, data=an_override())

    answer = await ada.post(PLACE, data=an_override())

    assert answer.status_code == 409
    assert read(answer.text).error_at("rule")
    assert "This policy has an override of 942100 already." in answer.text


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("949110", "adds up the score and blocks"),
        ("12", "12 is not a family of rules."),
        ("942100-942199", "Enter one rule, family, or tag."),
        ("OWASP_CRS", "Choose a narrower tag."),
        ("190201", "Rule 190201 is guardpanel’s own."),
        ("x y", "is not a rule ID"),
    ],
)
@pytest.mark.changes_nothing
async def test_what_is_no_rule_is_refused(ada: httpx2.AsyncClient, rule: str, words: str) -> None:
    answer = await ada.post(PLACE, data=an_override(rule=rule))

    assert answer.status_code == 422
    assert words in answer.text
