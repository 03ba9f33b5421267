"""Whatever the configuration is, its file says all of it: applied anywhere, it is the same again, and nothing more."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardpanel.models.noun import KEPT
from guardpanel.readable_yaml import written
from guardpanel.services.saving.changes import Changes
from guardpanel.services.site_file.nodes import read
from tests.examples import share
from tests.services.saved import files, rows, saving
from tests.services.site_file.files import apply, exported, plan

Row = dict[str, Any]

TEXTS = (
    "", "a: b", "# x", "- y", "'", '"', "no", "NO", "on", "null", "~", "1.0", "0x10", "12:30:45", "2026-12-31", "{a}", "[b", "*a", "&a", "!x",
    "|", ">", "%TAG", "\\", "\\n", "<<", "---", "...", "=", "?", "é “ü”", "😀", "two\nlines", "a\n\n  b\n\tc", "x" * 300, "a #b", "a:", KEPT,
)  # fmt: skip
"That YAML could take for something else."

text = st.sampled_from(TEXTS)
name = st.sampled_from(("Strict", "No", "Null", "1.0", "Shop #1", "é", "a - b", "Yes, no"))
PAIRS = share(0.5) if share(1) > 100 else 3
"Of states: `make nightly` tries 1,000."


def some(row: st.SearchStrategy[Row], key: Callable[[Row], Any], most: int = 3) -> st.SearchStrategy[list[Row]]:
    return st.lists(row, max_size=most, unique_by=key)


def row(**fields: Any) -> st.SearchStrategy[Row]:
    """Some of the fields are left out."""
    must = {
        key: value
        for key, value in fields.items()
        if key in {"name", "rule", "rules", "rule_id", "path", "header", "value", "hostnames"}
    }
    may = {key: value for key, value in fields.items() if key not in must}
    return st.fixed_dictionaries(must, optional=may)


overrides = row(rule=st.sampled_from(("942100", "941100", "attack-rfi")), reason=text)
exclusions = row(
    rules=st.sampled_from((["941100"], ["942100", "attack-xss"])), path=st.sampled_from(("/a", "/b")), reason=text, owner=st.just("Ada"),
    ends_on=st.just("2099-12-31"), enabled=st.booleans(), methods=st.just(["GET"]),
)  # fmt: skip
custom_rules = row(
    rule_id=st.sampled_from((9000001, 9000002)), name=name.filter(lambda text: "#" not in text), comment=text, points=st.integers(1, 100),
    variables=st.just(["ARGS:q"]), operator=st.just("contains"), operator_argument=st.just("- x: [y"), enabled=st.booleans(),
).map(lambda made: {"variables": ["ARGS:q"], "operator": "contains", "operator_argument": "x", **made})  # fmt: skip
policies = row(
    name=name.filter(lambda text: "#" not in text), description=text, enforcement_mode=st.sampled_from(("block", "detect_only", "off")),
    body_limit_kib=st.integers(1, 500), allowed_http_versions=st.just(["1.1", "2"]), skip_paths=st.just([".css"]),
    rule_overrides=some(overrides, lambda made: made["rule"]), rule_exclusions=some(exclusions, lambda made: (made["path"], *made["rules"])),
    custom_rules=some(custom_rules, lambda made: made["rule_id"]),
)  # fmt: skip
headers = row(
    header=st.sampled_from(("X-A", "X-B")),
    value=st.sampled_from(("no", "1.0", "a: b", "'{client_ip}'")),
    notes=text,
    position=st.integers(1, 9),
)
paths = row(path=st.sampled_from(("/a", "/Café")), notes=text, redirect_rest=st.booleans()).map(
    lambda made: {"enforcement_mode": "off", **made}
)
logins = row(name=st.sampled_from(("no", "é", "ada")), notes=text).map(
    lambda made: {"password": "correct horse", **made}
)
hosts = row(
    hostnames=st.sampled_from((["a.example"], ["b.example", "*.b.example"], ["c.example"], ["d.example"])),
    name=st.sampled_from(("Shop", "No", "1.0")), notes=text, balance=st.sampled_from(("source", "roundrobin")), enabled=st.booleans(),
    managed_by_file=st.sampled_from(("", "ops/site.yaml", "no")),
    retries=st.integers(0, 3), header_rules=st.lists(headers, max_size=3), path_bindings=some(paths, lambda made: made["path"]),
    site_logins=some(logins, lambda made: made["name"]),
    servers=st.lists(row(path=st.just(0), weight=st.integers(1, 256), backup=st.booleans()), min_size=1, max_size=3),
)  # fmt: skip
lists = row(
    name=name.filter(lambda text: "#" not in text), notes=text, kind=st.just("allow"),
    entries=st.sampled_from(("203.0.113.7\n", "10.0.0.0/8  # no\n2001:db8::/32 until 2099-12-31T00:00:00Z  # a: b\n")),
)  # fmt: skip


@st.composite
def states(draw: st.DrawFn) -> dict[str, Any]:
    state: dict[str, Any] = {
        "traffic": draw(row(trusted_networks=st.just(["10.0.0.0/8"]), forwarded_hops=st.integers(0, 3))),
        "policies": draw(some(policies, lambda made: made["name"].lower())),
        "virtual_hosts": draw(some(hosts, lambda made: made["hostnames"][0])),
        "address_lists": draw(some(lists, lambda made: made["name"].lower())),
    }
    for host in state["virtual_hosts"]:
        host["servers"] = [{"address": f"127.0.0.1:{3000 + number}", **{key: value for key, value in server.items() if key != "path"}}
                           for number, server in enumerate(host.get("servers", [{}]))]  # fmt: skip
        if state["policies"] and draw(st.booleans()):
            host["policy"] = draw(st.sampled_from(state["policies"]))["name"]
    return state


def sorted_rows(document: Any) -> Any:
    """Rows are in the order in which they were added, which differs with what was there before."""
    if isinstance(document, dict):
        return {key: sorted_rows(value) for key, value in document.items()}
    if isinstance(document, list):
        return sorted((sorted_rows(each) for each in document), key=repr)
    return document


async def becomes(changes: Changes, file: str) -> str:
    """The export, once the file is applied: applied again, it is nothing new."""
    planned = await plan(changes, file, prune=True)
    saved = await apply(changes, file, prune=True)
    assert [step.change.summary for step in planned.steps] == (
        [step.change.summary for step in saved.value] if saved else []
    )
    before, exported_text = (await rows(changes), files(changes)), await exported(changes)
    assert (await plan(changes, exported_text, prune=True)).steps == ()
    assert await apply(changes, exported_text, prune=True) is None
    assert (await rows(changes), files(changes)) == before
    assert await exported(changes) == exported_text
    return exported_text


async def round_trip(changes: Changes, first: str, second: str) -> None:
    then = await becomes(changes, first)
    await becomes(changes, second)
    again = await becomes(changes, then.replace(f"password: {KEPT}", "password: correct horse"))
    assert sorted_rows(read(again).value) == sorted_rows(read(then).value)


@pytest.mark.timeout(60 * PAIRS)
def test_a_state_is_the_same_again_by_its_file(template: Path) -> None:
    """On one panel, whose states follow each other."""

    @settings(
        max_examples=PAIRS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(states(), states())
    def each(first: dict[str, Any], second: dict[str, Any]) -> None:
        runner.run(round_trip(changes, written(first), written(second)))

    with asyncio.Runner() as runner:
        context = saving(template)
        changes = runner.run(context.__aenter__())
        try:
            each()
        finally:
            runner.run(context.__aexit__(None, None, None))
