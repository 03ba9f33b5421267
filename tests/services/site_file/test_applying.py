"""A file is one save: what it says becomes what is live, in the words of the pages, or nothing changes and each line that is wrong
is named."""

from collections import Counter
from itertools import permutations

import pytest
from sqlalchemy import event
from sqlmodel import col, select

from guardpanel.errors import NeedsConfirmation
from guardpanel.models import Deployment
from guardpanel.readable_yaml import written
from guardpanel.services import address_lists, policies, virtual_hosts
from guardpanel.services.address_lists import MOST_IN_FILE
from guardpanel.services.history.unified import unified
from guardpanel.services.saving import revisions
from guardpanel.services.saving.change import SaveRequest
from guardpanel.services.saving.changes import Changes
from guardpanel.services.site_file import entries, plans
from guardpanel.services.site_file.applying import Options
from guardpanel.services.site_file.entries import MOST_ERRORS
from guardpanel.services.site_file.nodes import read
from tests.certificates.made import full_chain, leaf
from tests.fakes import FakeEngines
from tests.services.saved import host_fields, policy_fields, rows
from tests.services.site_file.files import ADA, SITE, apply, exported, plan, refusal, words

pytestmark = pytest.mark.anyio


async def test_a_file_is_one_change_and_one_revision(changes: Changes) -> None:
    before = await rows(changes)

    planned = await plan(changes, SITE)
    assert await rows(changes) == before
    saved = await apply(changes, SITE)

    assert saved is not None
    assert words(planned.steps) == words(saved.value)
    assert words(saved.value) == [
        "Added certificate Intranet",
        "Traffic settings: trusted proxy 10.0.0.0/8 added, default certificate automatic → Intranet",
        "Added policy Strict",
        "Added error page set Shop",
        "Added virtual host shop.example",
        "shop.example: added path binding /login/…",
        "shop.example: added header rule Set X-Robots-Tag in responses",
        "shop.example: added login ada",
        "Strict: added rule override 942100 off",
        "Strict: added rule exclusion 941100: argument content, /posts",
        "Strict: added custom rule Old login",
        "Strict: added body reading /event text/plain: JSON",
        "Added address list Scanners",
        "Country data: countries URL none → https://data.example/country.mmdb.gz",
    ]
    assert saved.revision == 2
    async with changes.database.read() as session:
        newest = await revisions.last_deployment(session)
        touched = await session.scalar(select(Deployment.touched).order_by(col(Deployment.id).desc()))
    assert newest is not None
    assert (newest.summary, newest.author) == ("Applied site.yaml: 12 added, 2 changed", "ada")
    assert "virtual_host:1" in touched


async def test_what_was_applied_is_nothing_new(changes: Changes) -> None:
    await apply(changes, SITE)
    before, text = await rows(changes), await exported(changes)

    assert (await plan(changes, SITE)).steps == ()
    assert await apply(changes, SITE) is None
    assert await apply(changes, text, prune=True) is None
    assert await rows(changes) == before


async def test_an_export_has_no_secret(changes: Changes) -> None:
    await apply(changes, SITE)
    text = await exported(changes)

    assert "password: (kept in guardpanel)" in text
    assert "correct horse" not in text and "PRIVATE KEY" not in text
    assert "site_name: Bücher" in text


async def test_rows_that_a_file_does_not_name_stay_unless_it_prunes(changes: Changes) -> None:
    await apply(changes, SITE)
    only_policy = "traffic: {}\npolicies:\n- name: Default\n"

    kept = await apply(changes, only_policy)
    pruned = await apply(changes, only_policy, prune=True)

    assert kept is not None
    assert words(kept.value) == [
        "Traffic settings: trusted proxy 10.0.0.0/8 removed, default certificate Intranet → automatic",
        "Default: description",
    ]
    assert pruned is not None
    assert words(pruned.value) == [
        "Deleted certificate Intranet",
        "Deleted policy Strict",
        "Deleted error page set Shop",
        "Deleted virtual host shop.example",
        "Deleted address list Scanners",
    ]


async def test_a_key_that_is_left_out_has_its_default(changes: Changes) -> None:
    await policies.create(changes, ADA, policy_fields("Strict", enforcement_mode="block", body_limit_kib=256))

    saved = await apply(changes, "policies:\n- name: Strict\n  enforcement_mode: off\n")

    assert saved is not None
    assert words(saved.value) == ["Strict: enforcement mode block → off, body limit 256 KiB → 128 KiB"]


SECTIONS = "certificates, traffic, policies, client_cas, error_pages, virtual_hosts, address_lists, geo_data, format"


async def test_each_line_that_is_wrong_is_named_at_once(changes: Changes) -> None:
    text = (
        "policies:\n- name: Strict\n  enforcement_mode: blok\n  body_limit_kb: 1\n"
        "virtual_hosts:\n- hostnames: [a.example]\n  servers:\n  - address: 127.0.0.1:80\n    wieght: 1\nhosts: []\n"
    )

    assert await refusal(changes, text) == {
        "policies.0.body_limit_kb": ("Unknown key. Did you mean body_limit_kib?", "line 4"),
        "virtual_hosts.0.servers.0.wieght": ("Unknown key. Did you mean weight?", "line 9"),
        "hosts": (f"Unknown key. Known keys: {SECTIONS}.", "line 10"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("policies:\n- name: Strict\n" + "".join(f"  limit_{n}: 1\n" for n in range(5_000)), "Unknown key. "),
        ("policies:\n" + "- name: Strict\n  enforcement_mode: blok\n" * 300, "Choose one of "),
        ("virtual_hosts:\n" + "".join(f"- hostnames: [h{n}.example]\n  policy: Defaul{n}\n" for n in range(300)), "Policy Defaul"),
    ],
)  # fmt: skip
async def test_of_many_wrong_lines_the_first_are_named_within_seconds(
    changes: Changes, text: str, message: str
) -> None:
    """A minute of the processor for each thousand, and more for all, would be those of everything that the panel does."""
    refused = list((await refusal(changes, text)).values())

    assert MOST_ERRORS <= len(refused) < 2 * MOST_ERRORS
    lines = [int(str(where).removeprefix("line ")) for words, where in refused if words.startswith(message)]
    assert len(lines) >= MOST_ERRORS // 2
    assert lines == sorted(lines)
    assert max(lines) < text.count("\n") // 2


async def test_a_value_that_is_wrong_is_named_by_line_and_key(changes: Changes) -> None:
    text = """\
policies:
- name: Strict
  enforcement_mode: blok
- name: Default
  rule_exclusions:
  - rules: [949110]
    path: /
virtual_hosts:
- hostnames:
  - a.example
  - "-.example"
  policy: Defualt
  servers:
  - address: 127.0.0.1:80
  - address: 127.0.0.1:0
    weight: heavy
"""

    refused = await refusal(changes, text)

    assert {place: line for place, (_, line) in refused.items()} == {
        "policies.0.enforcement_mode": "line 3",
        "policies.1.rule_exclusions.0.rules": "line 6",
        "virtual_hosts.0.policy": "line 12",
    }
    assert refused["virtual_hosts.0.policy"][0] == "Policy Defualt not found. Did you mean Default?"
    refused = await refusal(changes, text.replace("Defualt", "Default"))
    assert refused["virtual_hosts.0.servers.1.address"][1] == "line 15"
    assert refused["virtual_hosts.0.servers.1.weight"][1] == "line 16"
    assert refused["virtual_hosts.0.hostnames"][1] == "line 9"


async def test_a_row_that_refers_to_a_refused_one_is_not_refused_for_it(changes: Changes) -> None:
    text = SITE.replace("enforcement_mode: block", "enforcement_mode: blok").replace("policy: strict", "policy: Strict")

    assert list(await refusal(changes, text)) == ["policies.0.enforcement_mode"]


async def test_a_rule_across_rows_is_named_at_the_line_of_its_row(changes: Changes) -> None:
    text = "virtual_hosts:\n" + "".join(
        f"- name: {name}\n  hostnames: [a.example]\n  servers: [{{address: 127.0.0.1:80}}]\n" for name in ("a", "b")
    )

    assert await refusal(changes, text) == {
        "virtual_hosts.1.hostnames": ("a.example is already used by a.", "line 6"),
    }


async def test_an_engines_words_are_at_the_line_of_its_field(changes: Changes) -> None:
    engines = changes.engines
    assert isinstance(engines, FakeEngines)
    await virtual_hosts.create(changes, ADA, host_fields("a.example"))
    text = await exported(changes)
    text = text.replace("- name: a.example", "- name: a.example\n  health_check_path: /up\n  notes: x")
    line = text[: text.index("health_check_path: /up")].count("\n") + 1
    engines.reject("health_check_path", "bad path", noun="virtual_host", noun_id=1)

    with pytest.raises(Exception, match="rejected this change") as rejected:
        await apply(changes, text)

    (error,) = rejected.value.errors.values()  # type: ignore[attr-defined]
    assert (error.engine, error.where) == ("HAProxy: “bad path”", f"line {line}")


async def test_warnings_are_confirmed_or_nothing_is_saved(changes: Changes) -> None:
    text = "virtual_hosts:\n- hostnames: [a.example]\n  https: true\n  https_redirect: true\n  servers: [{address: 127.0.0.1:80}]\n"
    document = await plans.document_in(text)

    with pytest.raises(NeedsConfirmation) as question:
        await plans.apply(changes, ADA, document, Options(), "site.yaml")

    assert [error.where for error in question.value.errors.values()] == ["line 4"]


async def test_what_stayed_behind_when_a_virtual_host_got_another_policy_is_applied_once_confirmed(
    changes: Changes,
) -> None:
    exclusion = {"rules": ["941100"], "target_name": "content", "path": "/posts", "virtual_host": "shop.example"}
    host = {"hostnames": ["shop.example"], "servers": [{"address": "10.0.0.5:8080"}]}
    policies = [{"name": "Strict", "rule_exclusions": [exclusion]}, {"name": "Other"}]
    await apply(changes, written({"policies": policies, "virtual_hosts": [{**host, "policy": "Strict"}]}))
    await apply(changes, written({"virtual_hosts": [{**host, "policy": "Other"}]}))
    text = await exported(changes)
    await apply(changes, written({"virtual_hosts": [], "policies": [{"name": "Other"}]}), prune=True)

    with pytest.raises(NeedsConfirmation, match="does not use this policy"):
        await apply(changes, text)
    await apply(changes, text, save_anyway=True)

    assert (await plan(changes, text)).steps == ()


async def test_the_order_of_a_file_does_not_matter(changes: Changes) -> None:
    """A policy stops inspecting responses in the same file that disables the rule that needs it."""
    rule = 'SecRule RESPONSE_BODY "@contains x" "id:9000001,phase:4,deny,msg:\'Leak\'"'
    text = f"policies:\n- name: A\n  response_inspection: true\n  custom_rules:\n  - rule_id: 9000001\n    name: x\n    variables: []\n    seclang: |\n      {rule}\n"
    await apply(changes, text)

    saved = await apply(
        changes, text.replace("true", "false").replace("    name: x", "    name: x\n    enabled: false")
    )

    assert saved is not None and len(saved.value) == 2
    assert await refusal(changes, text.replace("response_inspection: true", "response_inspection: false")) != {}


async def test_rows_of_the_same_name_are_counted(changes: Changes) -> None:
    for number in (1, 2):
        await virtual_hosts.create(changes, ADA, host_fields(f"{number}.example", name="Shop"))
    lists = "address_lists:\n- name: Mine\n  applies_to: virtual_hosts\n  virtual_hosts: [{}]\n  entries: 203.0.113.7\n"

    assert await refusal(changes, lists.format("Shop")) == {
        "address_lists.0.virtual_hosts": ("Several are named Shop. Write Shop #1 or Shop #2.", "line 4")
    }
    saved = await apply(changes, lists.format("'Shop #2'"))

    assert saved is not None and "- 'Shop #2'" in await exported(changes)
    assert (await rows(changes))["addresslist"][0]["virtual_host_ids"] == [2]


async def test_rows_of_the_same_name_are_counted_in_the_order_of_the_file(changes: Changes) -> None:
    host = "- name: Shop\n  hostnames: [{}.example]\n  policy: Default\n  servers: [{{address: 127.0.0.1:3000}}]\n"
    lists = "address_lists:\n- name: Mine\n  applies_to: virtual_hosts\n  virtual_hosts: ['Shop #1']\n  entries: 203.0.113.7\n"
    await virtual_hosts.create(changes, ADA, host_fields("b.example", name="Shop"))
    text = f"virtual_hosts:\n{host.format('a')}{host.format('b')}{lists}"

    await apply(changes, text)

    (host_id,) = [row["virtual_host_id"] for row in (await rows(changes))["hostname"] if row["name"] == "a.example"]
    assert (await rows(changes))["addresslist"][0]["virtual_host_ids"] == [host_id]
    assert (await plan(changes, text)).steps == ()


async def test_a_plan_names_what_was_saved_otherwise_and_would_be_lost(changes: Changes) -> None:
    grace, text = SaveRequest("grace"), SITE + "  notes: Ours\n- name: Other\n"

    async def lost(name: str = "site.yaml", *, prune: bool = False) -> list[tuple[str, str]]:
        planned = await plans.plan(changes, ADA, await plans.document_in(text), Options(prune=prune), name)
        return [(change.author, change.summary) for change in planned.overwritten]

    await policies.create(changes, grace, policy_fields("Before"))
    assert await lost() == []
    await apply(changes, text)
    await policies.update(changes, grace, 2, policy_fields("Before", body_limit_kib=256))
    await virtual_hosts.create(changes, grace, host_fields("new.example"))
    assert await lost() == []

    strict = (await rows(changes))["policy"][2]
    await policies.update(changes, grace, 3, policy_fields(**{**strict, "body_limit_kib": 64}))
    (other,) = [row["id"] for row in (await rows(changes))["addresslist"] if row["name"] == "Other"]
    await address_lists.delete(changes, grace, other)

    strict_changed = ("grace", "Strict: body limit 128 KiB → 64 KiB")
    assert await lost() == [("grace", "Deleted address list Other"), strict_changed]
    assert await lost("another.yaml") == []
    assert [summary for _, summary in await lost(prune=True)][1:] == [
        strict_changed[1], "Added virtual host new.example", "Before: body limit 128 KiB → 256 KiB",
    ]  # fmt: skip
    await apply(changes, text)
    assert await lost() == []


async def test_a_list_without_entries_is_empty(changes: Changes) -> None:
    await apply(changes, SITE)
    text = await exported(changes)
    entries = text[text.index("  entries: |") : text.index("  applies_to: virtual_hosts")]

    assert await apply(changes, text.replace(entries, "")) is None
    saved = await apply(changes, text.replace(entries, "  entries: ''\n"))

    assert saved is not None and words(saved.value) == ["Scanners: entries 10.0.0.0/8, 203.0.113.7 removed"]
    assert "  entries: ''\n" in await exported(changes)


async def test_a_new_name_is_no_new_row_where_the_rest_is_pruned(changes: Changes) -> None:
    await apply(changes, SITE)
    text = (await exported(changes)).replace("path: /posts", "path: /articles")

    saved = await apply(changes, text, prune=True)

    assert saved is not None and [step.kind for step in saved.value] == ["changed"]


async def test_a_secret_is_taken_with_a_new_row_only(changes: Changes) -> None:
    await apply(changes, SITE)
    before = (await rows(changes))["sitelogin"]

    assert await apply(changes, SITE.replace("correct horse", "another horse")) is None
    assert (await rows(changes))["sitelogin"] == before
    assert list(await refusal(changes, (await exported(changes)).replace("- name: ada", "- name: eve"))) == [
        "virtual_hosts.0.site_logins.0.password"
    ]


BY_HAND, FROM_A_URL = "entries: 203.0.113.7", "filled_from: url\n  feed_url: https://lists.example/a"
FOLLOWED = f"filled_from: crowdsec\n  feed_url: http://127.0.0.1:8080/\n  feed_key: {'k' * 20}"
LONG = "entries: |\n" + "".join(f"    10.0.{number // 250}.{number % 250}\n" for number in range(MOST_IN_FILE + 1))


@pytest.mark.parametrize(("before", "after"), [*permutations((BY_HAND, FROM_A_URL, FOLLOWED), 2), (LONG, BY_HAND)])
async def test_what_a_list_had_not_before_is_taken_from_the_file(changes: Changes, before: str, after: str) -> None:
    await apply(changes, f"address_lists:\n- name: A\n  {after}\n- name: B\n  {before}\n")

    await apply(changes, f"address_lists:\n- name: B\n  {after}\n")

    as_new, changed = read(await exported(changes)).value["address_lists"]
    assert {**changed, "name": "A"} == as_new


@pytest.mark.parametrize("source", ["self_signed", "acme"])
async def test_a_certificate_keeps_a_hostname_of_who_has_chosen_it(changes: Changes, source: str) -> None:
    """Or the export would be refused where neither is there yet. Of one that is to be issued, the present one does not count."""
    await apply(changes, SITE)
    others = SITE.replace("source: self_signed\n  names: [shop.example]", f"source: {source}\n  names: [other.example]")

    refused = await refusal(changes, others)

    words = "shop.example has chosen this certificate. Cover one of its hostnames, or assign it another one first."
    assert refused == {"certificates.0.names": (words, "line 4")}


async def test_a_certificate_that_was_made_here_can_be_replaced_by_a_file(changes: Changes) -> None:
    row = {"name": "Intranet", "certificate": full_chain("shop.example"), "private_key": leaf("shop.example").key_pem}
    await apply(changes, SITE)

    saved = await apply(changes, written({"certificates": [row]}), save_anyway=True)

    assert saved is not None and words(saved.value)[0].startswith("Intranet: source self-signed → uploaded")


async def test_one_row_is_a_change_like_any_other(changes: Changes) -> None:
    saved = await apply(changes, "policies:\n- name: Strict\n")

    async with changes.database.read() as session:
        newest = await revisions.last_deployment(session)
    assert saved is not None and newest is not None
    assert (newest.summary, newest.noun, newest.noun_id) == ("Added policy Strict", "policy", 2)


async def test_a_plan_has_both_engines_files(changes: Changes) -> None:
    planned = await plan(changes, SITE)

    assert planned.comparison is not None
    haproxy, agent = unified(planned.comparison.haproxy), unified(planned.comparison.agent)
    assert haproxy.startswith("--- haproxy.cfg\n+++ haproxy.cfg\n@@ -")
    assert "\n+    server s1 127.0.0.1:3000 weight 100\n+    server s2 127.0.0.1:3001 weight 100 backup\n" in haproxy
    assert agent.startswith("--- coraza.yaml\n+++ coraza.yaml\n@@ -")
    assert {line[0] for line in agent.splitlines() if '"@contains needle"' in line} == {"+"}
    assert [difference.name for difference in planned.comparison.nouns][:2] == ["Intranet", "Traffic settings"]


async def test_a_plan_leaves_saves_as_they_were(changes: Changes) -> None:
    await plan(changes, SITE)
    saved = await policies.create(changes, SaveRequest("ada"), policy_fields("Strict"))

    assert saved.value.id == 2 and saved.revision == 1


async def test_a_reference_that_a_file_changes_is_named_with_what_it_was(changes: Changes) -> None:
    given = "policies:\n- name: Strict\n- name: Lax\n" + hosts(1, 80) + "  policy: Strict\n"
    await apply(changes, given)

    planned = await plan(changes, given.replace("policy: Strict", "policy: Lax"))

    assert [step.change.summary for step in planned.steps] == ["h0.example: policy Strict → Lax"]


@pytest.mark.parametrize(("given", "most"), [("new", 6), ("as it is", 0), ("changed", 11)])
async def test_a_file_of_thousands_of_rows_takes_a_handful_of_statements_for_each(
    changes: Changes, given: str, most: int
) -> None:
    """It holds all other saves for as long."""
    if given != "new":
        await apply(changes, hosts(40, 80))
    port = 81 if given == "changed" else 80
    few, more = [await statements(changes, hosts(many, port)) for many in (20, 40)]

    assert (more - few) / 20 == most


async def statements(changes: Changes, text: str) -> int:
    """Of a plan."""
    count = Counter[str]()
    engine = changes.database.writing.sync_engine

    def counts(*_taken: object) -> None:
        count["all"] += 1

    event.listen(engine, "before_cursor_execute", counts)
    await plan(changes, text)
    event.remove(engine, "before_cursor_execute", counts)
    return count["all"]


def hosts(many: int, port: int) -> str:
    host = "- hostnames: [h{0}.example]\n  servers:\n  - address: 127.0.0.1:{1}\n"
    return "virtual_hosts:\n" + "".join(host.format(number, port) for number in range(many))


async def test_a_file_of_too_many_rows_is_refused_at_the_first_beyond(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "MOST_ROWS", 2)

    refused = await refusal(changes, "policies:\n- name: One\n  custom_rules:\n  - {}\n- name: Two\n- name: Three\n")

    words = "At most 2 rows. Apply this one and those below with another file, without pruning."
    assert refused == {"policies.1": (words, "line 5")}


async def test_lists_that_allow_only_their_entries_are_in_a_file(changes: Changes) -> None:
    text = """\
address_lists:
- name: Office
  entries: |
    10.0.0.0/8  # inside
  kind: only
- name: Closed
  entries: ''
  kind: only
  paths: [/admin*]
"""
    await apply(changes, text, save_anyway=True)
    own = await exported(changes)
    await apply(changes, "address_lists: []", prune=True, save_anyway=True)

    assert own.count("  kind: only\n") == 2
    assert "kind: only" not in (await exported(changes)).split("\naddress_lists:")[1]
    await apply(changes, own, save_anyway=True)
    assert await exported(changes) == own
    assert (await plan(changes, own, prune=True)).steps == ()
