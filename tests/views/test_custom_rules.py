"""The pages of custom rules."""

from html import unescape

import httpx2
import pytest

from tests.factories import a_custom_rule, a_policy
from tests.html import read

pytestmark = pytest.mark.anyio

PLACE = "/policies/1/custom-rules"


async def test_one_is_added_shown_edited_and_deleted(ada: httpx2.AsyncClient) -> None:
    form = read((await ada.get(f"{PLACE}/new")).text)
    assert form.value("rule_id") == "9000001"

    made = await ada.post(PLACE, data=a_custom_rule())
    assert made.headers["location"] == f"{PLACE}/1"
    shown = (await ada.get(f"{PLACE}/1")).text
    assert "SecRule ARGS:q" in shown
    assert f'href="{PLACE}/1"' in (await ada.get("/policies/1")).text
    assert f'href="{PLACE}/1"' in (await ada.get("/search?q=9000001")).text
    assert read((await ada.get(f"{PLACE}/new")).text).value("rule_id") == "9000002"

    edited = await ada.post(f"{PLACE}/1", data=a_custom_rule(action="block", variables="ARGS:q\nARGS:p", version="1"))
    assert edited.headers["location"] == f"{PLACE}/1"
    changes = (await ada.get("/changes")).text
    assert "Default: added custom rule Old login" in changes
    assert "Default: Old login: variable ARGS:p added, action add points → block" in changes

    gone = await ada.post(f"{PLACE}/1/delete", data={"version": "2"})
    assert gone.headers["location"] == "/policies/1"


async def test_its_id_leads_to_its_page(ada: httpx2.AsyncClient) -> None:
    await ada.post(PLACE, data=a_custom_rule())
    assert (await ada.get("/rules/9000001")).headers["location"] == f"{PLACE}/1"

    other = (await ada.post("/policies", data=a_policy("Other"))).headers["location"]
    await ada.post(f"{other}/custom-rules", data=a_custom_rule())
    both = (await ada.get("/rules/9000001")).text

    assert f'href="{PLACE}/1"' in both
    assert f'href="{other}/custom-rules/2"' in both


async def test_an_id_is_there_once_in_a_policy(ada: httpx2.AsyncClient) -> None:
    await ada.post(PLACE, data=a_custom_rule())

    answer = await ada.post(PLACE, data=a_custom_rule(name="Another"))

    assert answer.status_code == 409
    assert read(answer.text).error_at("rule_id")


async def test_a_rule_is_not_tagged_with_what_its_policy_switches_off(ada: httpx2.AsyncClient) -> None:
    await ada.post("/policies/1/rules", data={"rule": "attack-sqli", "action": "disable", "reason": ""})

    answer = await ada.post(PLACE, data=a_custom_rule(tags="attack-sqli"))

    assert (answer.status_code, bool(read(answer.text).error_at("tags"))) == (422, True)


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"rule_id": "942100"}, "rule_id", "Enter an ID from 9000000 to 9099999."),
        ({"variables": "ARGS_POST:q", "phase": "request_headers"}, "variables", "is not known in phase Request headers yet"),
        ({"variables": "ARG:q"}, "variables", "Did you mean ARGS"),
        ({"variables": "!ARGS:q"}, "variables", "leaves nothing out"),
        ({"variables": "ARGS:q|!ARGS:p"}, "variables", "leaves nothing out"),
        ({"variables": "REMOTE_ADDR:x"}, "variables", "is one value"),
        ({"variables": r"ARGS:/\D/"}, "variables", "in lower case"),
        ({"variables": ""}, "variables", "at least 1 variable"),
        ({"variables": "ARGS:" + "x" * 200}, "variables", "At most 150 characters"),
        ({"transformations": "lower"}, "transformations", "There is no transformation lower."),
        ({"tags": "a b"}, "tags", "is not a tag"),
        ({"operator": "rx", "operator_argument": "(?=x)"}, "operator_argument", "look ahead"),
        ({"operator": "rx", "operator_argument": r"\xe9"}, "operator_argument", "single bytes"),
        ({"operator": "ip_match", "operator_argument": "10.0.0.0/8, x"}, "operator_argument", "x is not an IP address"),
        ({"operator": "gt", "operator_argument": "many"}, "operator_argument", "Enter a whole number."),
        ({"operator": "pm", "operator_argument": "École"}, "operator_argument", "would never match"),
        ({"operator_argument": ""}, "operator_argument", "Enter what to compare with."),
        ({"operator_argument": "%{tx.x}"}, "operator_argument", "in place of"),
        ({"operator_argument": "a\\"}, "operator_argument", "backslash"),
        ({"action": "block", "status": "404"}, "status", "403 or 400"),
        ({"name": "it's"}, "name", "Names can contain"),
    ],
)  # fmt: skip
async def test_what_does_nothing_is_refused_at_its_field(
    ada: httpx2.AsyncClient, typed: dict[str, str], field: str, words: str
) -> None:
    answer = await ada.post(PLACE, data=a_custom_rule(**typed))

    assert answer.status_code == 422
    assert read(answer.text).error_at(field)
    assert words in unescape(answer.text)
