"""The ladder for what ordinary applications send: the narrowest rung that works frees the request, and nothing beside it."""

import asyncio
import base64
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from guardpanel.engines.waf.evaluation import Evaluation, evaluate
from guardpanel.models.patterns import LONGEST
from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields, Target
from guardpanel.services.fixes.attacks import payloads
from guardpanel.services.fixes.drafts import Draft, Ground, ground_of
from guardpanel.services.fixes.ladder import Climb, Ladder
from guardpanel.services.fixes.requests import Request
from guardpanel.services.fixes.widths import Width
from tests.live.fixing import IS_LONG
from tests.live.judging import EvaluatedRequest, Judge, a_form
from tests.live.test_false_positives import CASES, Case, evaluated
from tests.rows import FACTS, rows
from tests.rule_set import rule_set

HOST = {"blog.example": {"policy": "Blocks", "servers": [{"address": "127.0.0.1:80"}]}}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(rows({"Any": {}}, {})) as running:
        yield running


def a_request(sent: EvaluatedRequest) -> Request:
    headers = tuple((name, value) for name, value in sent["headers"])
    body = base64.b64decode(sent["body"])
    return Request(sent["client"], sent["method"], sent["uri"], sent["version"], headers, body)


class Trial:
    """A case before its ladder."""

    def __init__(self, judge: Judge, case: Case, custom_rules: Sequence[dict[str, Any]] = ()) -> None:
        policy = {"enforcement_mode": "block", **case["policy"]}
        self.judge, self.request = judge, a_request(evaluated(case["request"], {}))
        readings = [{"policy": "Blocks", **reading} for reading in case.get("readings", ())]
        made = rows({"Blocks": policy}, HOST, readings=readings, custom_rules=custom_rules)
        self.ground: Ground = ground_of(made, FACTS, 1, 1)

    async def under(self, draft: Draft, request: dict[str, Any] | None = None) -> Evaluation:
        directives = self.ground.directives(draft)
        return await evaluate(self.judge.control, directives, request or self.request.question())

    async def ladder(self) -> Ladder:
        turn = asyncio.Lock()

        async def judged(draft: Draft) -> Evaluation:
            async with turn:
                return await self.under(draft)

        before = await judged(Draft())
        readings = self.ground.rows.get("bodyreading", ())
        custom = self.ground.custom_rules
        known = self.ground.with_own_rules(rule_set())
        climb = Climb(self.request, self.ground.rows["policy"][0], None, judged, known, before, readings, custom=custom)
        return climb.ladder(await climb.rungs())


@pytest.mark.parametrize(
    "case", CASES if IS_LONG else CASES[::2], ids=lambda case: f"{case['application']}: {case['name']}"
)
def test_the_narrowest_rung_passes_only_its_request(judge: Judge, case: Case) -> None:
    async def tried() -> tuple[Ladder, list[str]]:
        trial = Trial(judge, case)
        ladder = await trial.ladder()
        assert ladder.chosen is not None
        draft = ladder.chosen.draft
        verdicts = [
            await trial.under(draft, evaluated(case["request"], neighbor["change"])) for neighbor in case["neighbours"]
        ]
        return ladder, [each.verdict for each in verdicts]

    ladder, neighbours = asyncio.run(tried())

    assert ladder.before.verdict == "blocked"
    assert ladder.chosen is not None and ladder.chosen.evaluation is not None and ladder.chosen.evaluation.passes
    assert neighbours == [neighbor["expect"] for neighbor in case["neighbours"]]


SCRIPT = "%3Cscript%3Ealert(1)%3C/script%3E"


def a_case(method: str, path: str, body: str = "") -> Case:
    headers = {"host": "blog.example", "user-agent": "Mozilla/5.0", "accept": "*/*"}
    length = {"content-length": str(len(body))} if body else {}
    request = {"method": method, "path": path, "headers": list({**headers, **length}.items()), "body": body}
    return {"policy": {}, "request": request}


def test_a_rule_that_counts_a_field_is_excluded_alone_for_the_whole_request(judge: Judge) -> None:
    """A body without a content type: what is in it stays inspected but for the field that holds it."""
    ladder = asyncio.run(Trial(judge, a_case("POST", "/in", "<script>alert(1)</script>")).ladder())

    assert ladder.chosen is not None and ladder.chosen.width is Width.FIELD
    whole = [row.rules for row in ladder.chosen.draft.exclusions if row.target is Target.REQUEST]
    assert whole == [["920640"]]


@pytest.mark.parametrize("name", ["n" * 250, "", "a%0Ab", "%20q%20", "caf%E9", "f%5B3%5D" + "n" * 250, "a%E2%80%AEb"])
def test_a_name_that_no_form_takes_is_excluded_by_a_pattern(judge: Judge, name: str) -> None:
    """It is long, empty, has blanks around it, or a control, a mark, a byte that is not UTF-8 in it."""
    fields, others = tried_beside(
        judge, f"/search?{name}={SCRIPT}", f"/search?m{name}={SCRIPT}", f"/search?{name}_x={SCRIPT}"
    )

    assert {row.target for row in fields} - {Target.ARGUMENT_NAME} == {Target.ARGUMENT}
    assert others == ["blocked", "blocked"]


@pytest.mark.parametrize("path", ["/caf%E9/x", "/a%07b", "/a%E2%80%AEb", "/abc" * 400])
def test_a_path_that_cannot_be_typed_decoded_is_matched_as_it_was_sent(judge: Judge, path: str) -> None:
    """It has a control, a mark, a byte that is not UTF-8 in it. One that is too long is matched by a pattern."""
    fields, others = tried_beside(judge, f"{path}?q={SCRIPT}", f"/y{path}?q={SCRIPT}", f"{path}y?q={SCRIPT}")

    assert {row.path_match for row in fields} == {PathMatch.PATTERN if len(path) > LONGEST else PathMatch.AS_SENT}
    assert others[0] == "blocked" and (others[1] == "blocked" or len(path) > LONGEST)


@pytest.mark.parametrize("path", ["/tag/100%", "/a%20b/100%", "/caf%C3%A9%zz"])
def test_an_address_that_the_engine_cannot_parse_is_freed_alone(judge: Judge, path: str) -> None:
    """A broken escape: nothing in its path is decoded, so it is compared as it was sent."""
    fields, others = tried_beside(judge, path, f"{path}%", f"/x{path}", f"{path}?q={SCRIPT}")

    assert [(row.rules, row.path) for row in fields] == [(["200009"], path)]
    assert others == ["blocked"] * 3


LIKE_IT = {
    "/api/items/123": (["/api/items/9"], ["/api/items/9x", "/api/items/9/", "/api/items/"]),
    "/api/items/123/parts/456": (["/api/items/1/parts/2"], ["/api/items/1/parts/x", "/api/items/x/parts/2"]),
    "/img/123.png": (["/img/4567.png"], ["/img/4567.jpg", "/img/4567xpng"]),
    "/u/550e8400-e29b-41d4-a716-446655440000/f/d41d8cd98f00b204e9800998ecf8427e.js": (
        ["/u/550e8400-e29b-41d4-a716-446655440001/f/aaaaaaaa98f00b204e9800998ecf8427.js"], ["/u/me/f/d41d8cd98f00b204e9800998ecf8427e.js"],
    ),
    "/dist/app-1.2.3.min.js": (["/dist/app-1.10.0.min.js"], ["/dist/app-1.2.min.js", "/dist/lib-1.2.3.min.js"]),
    "/orders/ORD-2024-000123": (["/orders/ORD-2025-7"], ["/orders/INV-2025-7"]),
    "/blog/2024-05-17/my%20trip": (["/blog/2023-01-02/my%20trip"], ["/blog/2023/my%20trip"]),
}  # fmt: skip
"By the path of an event: paths of which a fix by a pattern frees the same field, and of which it does not."


@pytest.mark.parametrize("path", LIKE_IT)
def test_a_pattern_frees_paths_with_other_ids_and_a_directory_all_below_it(judge: Judge, path: str) -> None:
    trial, (alike, others) = Trial(judge, a_case("GET", f"{path}?q={SCRIPT}")), LIKE_IT[path]

    async def tried() -> dict[Width, list[str]]:
        ladder = await trial.ladder()
        widths = [rung.width for rung in ladder.rungs if rung.works]
        assert widths.index(Width.FIELD) < widths.index(Width.PATH_PATTERN) < widths.index(Width.BELOW), widths
        verdicts = {}
        for width in (Width.FIELD, Width.PATH_PATTERN, Width.BELOW):
            rung = ladder.rung(width)
            assert rung is not None
            sent = [a_case("GET", f"{other}?q={SCRIPT}")["request"] for other in (path, *alike, *others, f"/x{path}")]
            verdicts[width] = [(await trial.under(rung.draft, evaluated(each, {}))).verdict for each in sent]
        return verdicts

    here, like, unlike, elsewhere = ["pass"], ["pass"] * len(alike), ["pass"] * len(others), ["blocked"]
    stay = ["blocked"] * len(others)
    assert asyncio.run(tried()) == {
        Width.FIELD: here + ["blocked"] * len(alike) + stay + elsewhere,
        Width.PATH_PATTERN: here + like + stay + elsewhere,
        Width.BELOW: here + like + unlike + elsewhere,
    }


ON_THE_PATH = [
    "/files/..%2f..%2fconf/a.txt", "/files/..%252fa", "/a/%2e%2e/b", "/files/..%5ca", "/team/x.git/config", "/old/a.bak", "/a.php~",
    "/a%0aSet-Cookie:%20b", "/x/%24%7Bjndi:ldap://a/b%7D", "/a%00b", "/a/sleep(10)", "/unix:aaaa%7Chttp://x/", "/a/phpinfo()",
    f"/a/{SCRIPT}",
]  # fmt: skip
"A rule fires on each of these paths, or on the request line."


@pytest.mark.parametrize("path", ON_THE_PATH if IS_LONG else ON_THE_PATH[::2])
def test_a_path_on_which_rules_fire_is_excluded_for_it_alone(judge: Judge, path: str) -> None:
    fields, others = tried_beside(judge, path, f"{path}x/../..%2fy", f"/x/.env/..%2f{path}", f"{path}?q={SCRIPT}")

    assert {row.target for row in fields} <= {Target.PATH, Target.URL}
    assert {row.path_match for row in fields} <= {PathMatch.EXACT, PathMatch.AS_SENT}
    assert others == ["blocked"] * 3


def tried_beside(judge: Judge, uri: str, *others: str) -> tuple[list[RuleExclusionFields], list[str]]:
    """The exclusions by which a request passes, this field on this path alone, and the verdicts of others with them."""
    trial = Trial(judge, a_case("GET", uri))

    async def tried() -> tuple[Ladder, list[str]]:
        ladder = await trial.ladder()
        draft = ladder.rung(Width.FIELD).draft  # type: ignore[union-attr]
        return ladder, [
            (await trial.under(draft, evaluated(a_case("GET", other)["request"], {}))).verdict for other in others
        ]

    ladder, verdicts = asyncio.run(tried())
    assert ladder.chosen is not None and ladder.chosen.width is Width.FIELD
    return ladder.chosen.draft.exclusions, verdicts


def an_upload(function: str) -> Case:
    """A form as scripts send it (FormData), to an address with many functions."""
    fields = {"action": function, "html": "<script>alert(1)</script>"}
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()]
    made = a_case("POST", "/ajax.php", "".join([*parts, "--b--\r\n"]))
    made["request"]["headers"].append(["content-type", "multipart/form-data; boundary=b"])
    return made


def test_a_multipart_form_is_excluded_for_its_function_alone(judge: Judge) -> None:
    trial = Trial(judge, an_upload("save"))

    async def tried() -> tuple[Ladder, str]:
        ladder = await trial.ladder()
        assert ladder.chosen is not None
        other = await trial.under(ladder.chosen.draft, evaluated(an_upload("import")["request"], {}))
        return ladder, other.verdict

    ladder, other = asyncio.run(tried())

    assert ladder.chosen is not None and ladder.chosen.width is Width.CONDITION
    assert [row.only_if for row in ladder.chosen.draft.exclusions] == [["action=save"]]
    assert other == "blocked"


@pytest.mark.parametrize("action", ["score", "block"])
def test_a_custom_rule_that_blocks_skips_the_field_or_is_disabled_itself(judge: Judge, action: str) -> None:
    rule = {"rule_id": 9_000_001, "name": "Old login", "variables": ["ARGS"], "operator_argument": "old"}
    rules = [{"policy": "Blocks", "operator": "contains", "action": action, **rule}]
    ladder = asyncio.run(Trial(judge, a_case("GET", "/login?q=old"), custom_rules=rules).ladder())

    assert ladder.before.verdict == "blocked"
    assert ladder.chosen is not None and ladder.chosen.width is Width.FIELD
    (narrow,) = ladder.chosen.draft.exclusions
    assert (narrow.rules, narrow.target, narrow.target_name, narrow.path) == (
        ["9000001"],
        Target.ARGUMENT,
        "q",
        "/login",
    )
    off = ladder.rung(Width.OFF)
    assert off is not None and off.works
    (row,) = off.draft.disabled
    assert (row.rule_id, row.name, row.enabled, len(off.draft.rows)) == (9_000_001, "Old login", False, 1)


@pytest.mark.parametrize("family", payloads())
def test_each_attack_is_blocked_by_a_rule_of_its_family(judge: Judge, family: str) -> None:
    async def judged() -> list[Evaluation]:
        ground = ground_of(rows({"Blocks": {"enforcement_mode": "block"}}, HOST), FACTS, 1, 1)
        questions = [a_request(a_form("/x", {"q": payload})).question() for payload in payloads()[family]]
        return [await evaluate(judge.control, ground.directives(Draft()), question) for question in questions]

    answers = dict(zip(payloads()[family], asyncio.run(judged()), strict=True))

    assert [text for text, answer in answers.items() if answer.verdict != "blocked"] == []
    fired = {text: {str(rule.id)[:3] for rule in answer.rules} for text, answer in answers.items()}
    assert [text for text, families in fired.items() if family not in families] == []


UNSAYABLE = [
    ("P'X|Y", "application/json"), ("P" * 120, "application/json"), ("get", "application/json"),
    ("POST", "application/x\"'y"), ("POST", "application/%{tx.x}"), ("POST", "foo"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "kind"), UNSAYABLE)
def test_what_a_policy_cannot_allow_is_no_setting_of_the_ladder(judge: Judge, method: str, kind: str) -> None:
    headers = {"host": "blog.example", "user-agent": "Mozilla/5.0", "accept": "*/*", "content-type": kind}

    async def tried() -> Ladder:
        trial = Trial(judge, CASES[0])
        trial.request = Request("203.0.113.7", method, "/a", "1.1", (*headers.items(), ("content-length", "2")), b"{}")
        return await trial.ladder()

    ladder = asyncio.run(tried())

    assert ladder.before.verdict == "blocked"
    assert [dict(rung.draft.policy) for rung in ladder.rungs if rung.draft.policy] == []
    assert ladder.chosen is not None
