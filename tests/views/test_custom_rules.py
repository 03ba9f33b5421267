"""The pages of custom rules."""

from html import unescape

import httpx2
import pytest

from guardpanel.models import Policy
from guardpanel.panel import Panel
from guardpanel.services import custom_rules
from tests.factories import a_custom_rule, a_policy
from tests.fakes import FakeEngines
from tests.html import read
from tests.rule_set import rule_set

pytestmark = pytest.mark.anyio

PLACE = "/policies/1/custom-rules"


async def test_one_is_added_shown_edited_and_deleted(ada: httpx2.AsyncClient) -> None:
    form = read((await ada.get(f"{PLACE}/new")).text)
    assert form.value("rule_id") == "9000001"

    made = await ada.post(PLACE, data=a_custom_rule())
    assert made.headers["location"] == f"{PLACE}/1"
    text = (await ada.get(f"{PLACE}/1")).text
    assert "SecRule ARGS:q" in text
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
@pytest.mark.changes_nothing
async def test_what_does_nothing_is_refused_at_its_field(
    ada: httpx2.AsyncClient, typed: dict[str, str], field: str, words: str
) -> None:
    answer = await ada.post(PLACE, data=a_custom_rule(**typed))

    assert answer.status_code == 422
    assert read(answer.text).error_at(field)
    assert words in unescape(answer.text)


SCORING = (
    "SecRule ARGS:q \"@rx ^x\" \"id:9000001,phase:2,pass,log,msg:'Mine',severity:'CRITICAL',chain\"\n"
    'SecRule ARGS:p "@rx ^x" "setvar:\'tx.inbound_anomaly_score_pl1=+{}\'"'
)

CHAIN = (
    "# Only while it is open\n"
    'SecRule REQUEST_FILENAME "@beginsWith /sale" "id:9000007,phase:2,deny,log,msg:\'Too many\',chain"\n'
    '    SecRule ARGS:n "@gt 3" "t:none"'
)


def seclang(page: str) -> str:
    return read(page).value("seclang")


async def test_builder_and_seclang_follow_each_other_without_javascript(ada: httpx2.AsyncClient) -> None:
    typed = a_custom_rule(operator_argument='say "it"')
    page = (await ada.post(PLACE, data={**typed, "seclang": "", "seclang_before": "", "turn": "seclang"})).text
    text = seclang(page)
    assert '"@contains say \\"it\\""' in text

    edited = {**typed, "seclang": text.replace("ARGS:q", "ARGS:p"), "seclang_before": text}
    page = (await ada.post(PLACE, data={**edited, "turn": "builder"})).text
    assert read(page).value("variables") == "ARGS:p"

    made = await ada.post(PLACE, data=edited)
    assert made.headers["location"] == f"{PLACE}/1"
    assert read((await ada.get(f"{PLACE}/1/edit")).text).value("variables") == "ARGS:p"


async def test_the_builder_keeps_what_it_has_where_there_is_no_seclang(ada: httpx2.AsyncClient) -> None:
    empty = {**a_custom_rule(), "seclang": "", "seclang_before": "", "turn": "builder"}

    page = (await ada.post(PLACE, data=empty)).text

    assert read(page).value("variables") == "ARGS:q"
    assert "Enter a SecRule or a SecAction." in page
    assert "Required." not in page


async def test_both_sides_edited_is_asked_about(ada: httpx2.AsyncClient) -> None:
    text = seclang((await ada.post(PLACE, data={**a_custom_rule(), "turn": "seclang"})).text)
    both = a_custom_rule(variables="ARGS:p", seclang=text.replace("ARGS:q", "ARGS:r"), seclang_before=text)

    question = await ada.post(PLACE, data=both)

    assert "Builder and SecLang both changed." in question.text
    assert "No custom rules" not in question.text
    assert (await ada.get(f"{PLACE}/1")).status_code == 404


async def test_a_rule_beyond_the_builder_is_kept_as_text(ada: httpx2.AsyncClient) -> None:
    made = await ada.post(PLACE, data={"seclang": CHAIN, "seclang_before": "", "enabled": "on", "comment": "Mine"})
    assert made.headers["location"] == f"{PLACE}/1"

    page = (await ada.get(f"{PLACE}/1/edit")).text
    assert "beyond the builder" in page
    assert seclang(page) == CHAIN
    assert "Too many" in (await ada.get("/policies/1")).text

    edited = {"seclang": CHAIN.replace("@gt 3", "@gt 4"), "seclang_before": "", "enabled": "on", "version": "1"}
    assert (await ada.post(f"{PLACE}/1", data=edited)).headers["location"] == f"{PLACE}/1"
    assert "@gt 4" in (await ada.get(f"{PLACE}/1")).text


async def test_one_side_of_the_form_follows_the_other(ada: httpx2.AsyncClient) -> None:
    built = await ada.post(f"{PLACE}/new/seclang", data=a_custom_rule())
    text = seclang(built.text)
    assert "SecRule ARGS:q" in text

    simple = await ada.post(
        f"{PLACE}/new/builder", data={"seclang": text.replace("ARGS:q", "ARGS:p"), "seclang_before": text}
    )
    beyond = await ada.post(f"{PLACE}/new/builder", data={"seclang": CHAIN, "seclang_before": text, **a_custom_rule()})
    wrong = await ada.post(
        f"{PLACE}/new/builder", data={"seclang": "SecRuleEngine Off", "seclang_before": text, **a_custom_rule()}
    )

    assert read(simple.text).value("variables") == "ARGS:p"
    assert not read(simple.text).error_at("variables")
    assert "beyond the builder" in beyond.text
    assert "SecRuleEngine can’t be part of a rule." in wrong.text.partition('id="seclang-note"')[2]


async def test_a_request_that_cannot_be_tried_says_why(ada: httpx2.AsyncClient) -> None:
    draft = {**a_custom_rule(), "seclang": "", "seclang_before": ""}

    nonsense = await ada.post(f"{PLACE}/new/try", data={**draft, "request": "hello"})
    unfinished = await ada.post(f"{PLACE}/new/try", data={**draft, "variables": "", "request": "curl x.test"})
    whole = await ada.post(PLACE, data={**draft, "turn": "try", "request": "hello"})

    assert "Request: Begin with the request line" in nonsense.text
    assert "Variables: Enter at least 1 variable" in unfinished.text
    assert "Begin with the request line" in whole.text
    assert read(whole.text).value("variables") == "ARGS:q"
    assert (await ada.get(f"{PLACE}/1")).status_code == 404


async def test_a_rule_is_switched_off_and_on_from_its_page(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    engines.agent.known_rules = rule_set()
    assert "Switch rule off" in (await ada.get("/rules/942100")).text

    await ada.post("/policies/1/rules", data={"rule": "942100", "action": "disable"})
    page = (await ada.get("/rules/942100")).text
    assert "Switch rule on" in page
    assert 'action="/policies/1/rules/1/delete"' in page
    assert (await ada.post("/policies/1/rules/1/delete", data={"version": "1"})).status_code == 303

    copied = seclang((await ada.get(f"{PLACE}/new?instead_of=942100")).text)
    assert "id:9000001" in copied
    assert "tx.inbound_anomaly_score_pl1=+5" in copied


async def test_what_no_copy_can_do_is_told_on_the_rules_page(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    engines.agent.known_rules = rule_set()

    words_in_file, copied = [(await ada.get(f"/rules/{number}")).text for number in (930130, 942100)]

    assert "Its words are in a file of the rule set" in words_in_file
    assert "instead_of=930130" not in words_in_file
    assert "instead_of=942100" in copied


async def test_rules_for_responses_keep_their_policy_from_ignoring_them(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    text = 'SecRule RESPONSE_BODY "@contains secret" "id:9000001,phase:4,deny,status:403,msg:\'Leak\'"'
    assert (await ada_api.patch("/api/v1/policies/1", json={"response_inspection": True})).status_code == 200
    assert (await ada.post(PLACE, data={"seclang": text, "enabled": "on"})).headers["location"] == f"{PLACE}/1"
    policy = read((await ada.get("/policies/1/edit")).text)

    refused = await ada_api.patch("/api/v1/policies/1", json={"response_inspection": False})
    other = await ada_api.patch("/api/v1/policies/1", json={"description": "Shops"})

    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["field"], other.status_code) == (422, "response_inspection", 200)
    assert error["message"].startswith("Custom rule 9000001 inspects responses")
    assert policy.find("input", name="response_inspection")
    assert (await ada_api.patch("/api/v1/policies/1/custom-rules/1", json={"is_active": False})).status_code == 200
    assert (await ada_api.patch("/api/v1/policies/1", json={"response_inspection": False})).status_code == 200


async def test_a_rule_for_responses_that_does_nothing_says_so(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel
) -> None:
    text = 'SecRule RESPONSE_BODY "@contains secret" "id:9000001,phase:4,deny,status:403,msg:\'Leak\'"'
    await ada_api.patch("/api/v1/policies/1", json={"response_inspection": True})
    await ada.post(PLACE, data={"seclang": text, "enabled": "on"})
    assert "No effect" not in (await ada.get(f"{PLACE}/1")).text

    async with panel.database.write() as session:
        (await session.get_one(Policy, 1)).response_inspection = False

    assert "No effect" in (await ada.get(f"{PLACE}/1")).text
    assert "responses not inspected" in (await ada.get("/policies/1")).text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CHAIN.replace("t:none", "tag:'attack-x'"), "Line 3: Move tag to the first link of the chain."),
        ("SecRuleEngine Off", "Line 1: SecRuleEngine can’t be part of a rule."),
        ("Include /etc/passwd", "Include can’t be part"),
        (f"{CHAIN}\nSecAction \"id:9000008,pass\"", "Line 4: One rule only."),
        ('SecAction "id:942100,pass"', "an id from 9000000"),
        ('SecAction "id:9000001,id:9000002,pass"', "Name id once."),
        ('SecAction "id:9000001,pass,exec:/bin/sh"', "can’t use exec"),
        ('SecAction "id:9000001,pass,setenv:a=b"', "can’t use setenv"),
        ('SecAction "id:9000001,pass,skipAfter:END"', "can’t use skipafter"),
        ('SecAction "id:9000001,pass,ctl:ruleEngine=Off"', "can’t use ctl:ruleEngine"),
        ('SecAction "id:9000001,pass,ctl:requestBodyAccess=Off"', "can’t use ctl:requestBodyAccess"),
        ('SecAction "id:9000001,pass,ctl:ruleRemoveById=949110"', "nothing is blocked"),
        ('SecAction "id:9000001,pass,ctl:ruleRemoveById=900000-999999"', "includes"),
        ('SecAction "id:9000001,pass,ctl:ruleRemoveTargetByTag=OWASP_CRS;ARGS"', "includes the rules that add up"),
        ('SecAction "id:9000001,pass,ctl:ruleRemoveById=190201"', "guardpanel’s own"),
        ('SecAction "id:9000001,pass,setvar:tx.inbound_anomaly_score_threshold=1000"', "belongs to the rule set"),
        ('SecAction "id:9000001,pass,setvar:tx.inbound_anomaly_score_pl1=-5"', "can only add"),
        ('SecAction "id:9000001,pass,setvar:!tx.inbound_anomaly_score_pl1"', "can only add"),
        ('SecAction "id:9000001,pass,setvar:tx.%{tx.x}=1"', "takes a variable of TX"),
        ('SecAction "id:9000001,pass,msg:\'%{ENV.HOME}\'"', "There is no variable ENV"),
        ('SecAction "id:9000001,block,log"', "block does nothing without points"),
        ('SecRule ARGS "@inspectFile /x.lua" "id:9000001,deny"', "can’t use @inspectFile"),
        ('SecRule ARGS "@pmFromFile /etc/passwd" "id:9000001,deny"', "can’t use @pmFromFile"),
        ('SecRule ENV:PATH "@rx a" "id:9000001,deny"', "There is no variable ENV"),
        ('SecRule REQUEST_BODY "@rx a" "id:9000001,phase:1,deny"', "is not known in phase"),
        ('SecRule ARGS "@rx a" "id:9000001,deny,t:lower"', "There is no transformation lower."),
        ('SecRule ARGS "@rx a" "id:9000001,deny,status:200"', "403 or 400"),
        ('SecRule ARGS @rx "id:9000001,deny"', "between double quotes"),
        ('SecAction "id:9000001,pass" \\', "can’t end with a backslash"),
        ('SecAction "id:9000001,pass,setvar:tx.mine"', "Give tx.mine a value"),
        ('SecAction "id:9000001,pass,setvar:!tx.mine"', "Give tx.mine a value"),
        ('SecAction "id:9000001,phase:1,pass,setvar:tx.critical_anomaly_score=+0"', "belongs to the rule set"),
        ('SecAction "id:9000001,phase:1,pass,setvar:tx.allow_method_override_parameter=1"', "belongs to the rule set"),
        ('SecAction "id:9000001,phase:1,pass,ctl:requestBodyProcessor=JSN"', "not as JSN"),
        ('SecAction "id:9000001,phase:2,pass,ctl:requestBodyProcessor=JSON"', "does nothing after phase 1"),
        ('SecAction "id:9000001,pass,ctl:ruleRemoveTargetById=942100"', "Name what ruleRemoveTargetById leaves out"),
        ('SecAction "id:9000001,pass,ctl:ruleRemoveTargetById=942100;ARG:q"', "for example 942100;ARGS:q"),
        ('SecRule REMOTE_ADDR "!@ipMatch 192.0.2.0/33" "id:9000001,deny"', "192.0.2.0/33 is not an IP address"),
        ('SecRule ARGS "@gt 1.5" "id:9000001,deny"', "Enter a whole number."),
        ('SecRule ARGS "@pm Éa" "id:9000001,deny"', "É would never match"),
        ('SecRule ARGS "@rx a" "id:9000001,phase:5,deny"', "deny does nothing in phase 5"),
        ('SecRule ARGS "@rx a" "id:9000001,phase:3,pass,setvar:tx.inbound_anomaly_score_pl1=+5"', "nothing in phase 3"),
        ('SecRule RESPONSE_STATUS "@eq 500" "id:9000001,phase:3,deny"', "does not inspect responses"),
    ],
)  # fmt: skip
@pytest.mark.changes_nothing
async def test_seclang_that_could_do_harm_or_nothing_is_refused(ada: httpx2.AsyncClient, text: str, words: str) -> None:
    answer = await ada.post(PLACE, data={"seclang": text, "seclang_before": "", "enabled": "on"})

    assert answer.status_code == 422
    assert read(answer.text).error_at("seclang")
    assert words in unescape(answer.text)
    assert seclang(answer.text) == text


async def test_a_tag_is_not_switched_off_under_a_custom_rule(ada: httpx2.AsyncClient) -> None:
    await ada.post(PLACE, data=a_custom_rule(tags="attack-sqli"))
    typed = {"rule": "attack-sqli", "action": "disable", "reason": ""}

    refused = await ada.post("/policies/1/rules", data=typed)
    assert (refused.status_code, "Custom rule 9000001 is tagged attack-sqli" in refused.text) == (422, True)

    await ada.post(f"{PLACE}/1", data=a_custom_rule(tags="", version="1"))
    assert (await ada.post("/policies/1/rules", data=typed)).status_code == 303


@pytest.mark.parametrize(
    ("fields", "points"),
    [
        ({"points": "3"}, 3),
        ({"action": "block"}, None),
        ({"seclang": SCORING.format("7")}, 7),
        ({"seclang": SCORING.format("%{tx.warning_anomaly_score}")}, 3),
    ],
)
async def test_its_points_are_known_to_events(
    ada: httpx2.AsyncClient, panel: Panel, fields: dict[str, str], points: int | None
) -> None:
    saved = await ada.post(PLACE, data=fields if "seclang" in fields else {**a_custom_rule(), **fields})
    assert saved.status_code == 303, saved.text[-2000:]

    async with panel.database.read() as session:
        known = await custom_rules.points_in(session, 1)

    assert known.get(9_000_001) == points
