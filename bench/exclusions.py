"""What rule exclusions and custom rules cost: a save of one more exclusion until it is live, alone and beside as many custom
rules, and a request that none of them is for.

    make bench-exclusions      (or: .venv/bin/python -m bench.exclusions --exclusions 200)

Panel, HAProxy and agent are real. The exclusions are of four forms in turns, in one policy that a virtual host uses.
"""

import argparse
import asyncio
import statistics
import time
from contextlib import ExitStack
from typing import Any

import httpx2

from guardpanel.database import Database
from guardpanel.models import CustomRule, RuleExclusion
from guardpanel.models.rules.custom_rule import CustomRuleFields
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from tests.live.judging import Judge, a_form
from tests.panel import running_panel
from tests.rows import rows
from tests.web import EMAIL, PASSWORD, an_account

LAST = 10
"Saves of which the median is told."

REQUESTS = 300

FIRST = 9_000_000
"The id of the first custom rule."


def exclusion(at: int) -> dict[str, Any]:
    forms: list[dict[str, Any]] = [
        {"path": f"/posts/{at}"},
        {"path": rf"/posts/\d+/{at}", "path_match": "pattern"},
        {"path": f"/files/{at}", "path_match": "below"},
        {"path": f"/admin/{at}", "only_if": ["action=save"]},
    ]
    return {
        "rules": ["941100", "941110", "941160"],
        "target_name": "content",
        "methods": ["POST"],
        **forms[at % len(forms)],
    }


def custom_rule(at: int) -> dict[str, Any]:
    return {"name": f"Rule {at}", "variables": ["ARGS:q"], "operator_argument": f"word {at}", "rule_id": FIRST + at}


def saves(most: int) -> None:
    with running_panel() as panel, httpx2.Client(base_url=panel.url, timeout=60) as client:
        an_account(panel)
        token = client.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD}).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        host = {"hostnames": ["shop.example"], "backends": [{"url": "http://127.0.0.1:9"}], "policy_id": 1}
        client.post("/api/v1/vhosts", json=host).raise_for_status()
        took: list[float] = []
        for at in range(most):
            began = time.perf_counter()
            client.post("/api/v1/policies/1/exclusions", json=exclusion(at)).raise_for_status()
            took.append(time.perf_counter() - began)
            if len(took) in {LAST, most // 2, most}:
                print(f"{len(took):5d} exclusions: a save {in_words(took[-LAST:])} s", flush=True)


async def store(url: str, most: int) -> None:
    """As many exclusions and custom rules at once."""
    database = Database(url)
    async with database.write() as session:
        for at in range(most):
            excluded = RuleExclusionFields.model_validate(exclusion(at))
            session.add(RuleExclusion(policy_id=1).replace(excluded))
            session.add(CustomRule(policy_id=1).replace(CustomRuleFields.model_validate(custom_rule(at))))
    await database.close()


def saves_beside_custom_rules(most: int) -> None:
    """Of one more exclusion, in a policy with that many of both."""
    with running_panel() as panel:
        an_account(panel)
        panel.stop()
        asyncio.run(store(f"sqlite+aiosqlite:///{panel.data / 'guardpanel.db'}", most))
        panel.start()
        with httpx2.Client(base_url=panel.url, timeout=60) as client:
            token = client.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD}).json()[
                "access_token"
            ]
            client.headers["authorization"] = f"Bearer {token}"
            took: list[float] = []
            for at in range(most, most + LAST):
                began = time.perf_counter()
                client.post("/api/v1/policies/1/exclusions", json=exclusion(at)).raise_for_status()
                took.append(time.perf_counter() - began)
            text = len((panel.data / "current" / "coraza.yaml").read_text())
    print(f"{most:5d} exclusions and custom rules each, {text:,} characters: a save {in_words(took)} s", flush=True)


def requests(most: int) -> None:
    """Of a form to another path, in turns with a policy that has nothing of its own."""
    given = [{"policy": "Strict", **exclusion(at)} for at in range(most)]
    own = [{"policy": "Strict", **custom_rule(at)} for at in range(most)]
    request = a_form("/elsewhere", {"title": "An ordinary title", "text": "An ordinary text. " * 10})
    variants = {
        "nothing": ([], []),
        f"{most} exclusions": (given, []),
        f"{most} custom rules": ([], own),
        "both": (given, own),
    }
    with ExitStack() as stack:
        judges = {
            name: stack.enter_context(
                Judge(rows({"Strict": {"enforcement_mode": "block"}}, {}, exclusions=exclusions, custom_rules=rules))
            )
            for name, (exclusions, rules) in variants.items()
        }
        took: dict[str, list[float]] = {name: [] for name in judges}
        for _ in range(REQUESTS):
            for name, judge in judges.items():
                took[name].append(1000 * judge.says(request)["seconds"]["inspect"])
    for name, seconds in took.items():
        print(f"{name:>18}: a form to another path {in_words(seconds)} ms", flush=True)


def in_words(took: list[float]) -> str:
    return f"p50 {statistics.median(took):.2f}, at most {max(took):.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exclusions", type=int, default=200)
    parser.add_argument("--only-saves", action="store_true", help="only those beside as many custom rules")
    options = parser.parse_args()
    saves_beside_custom_rules(options.exclusions)
    if options.only_saves:
        raise SystemExit
    requests(options.exclusions)
    saves(options.exclusions)
