"""The configuration as a file over HTTP: the same file as that of the command, with the same lines."""

import asyncio

import httpx2
import pytest
from fastapi import FastAPI

from guardpanel.services.site_file.nodes import LARGEST
from tests.disconnecting import status_without_client
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio

PATH = "/api/v1/configuration"

YAML = {"content-type": "application/yaml"}

SITE = "policies:\n- name: Strict\n  enforcement_mode: block\nvirtual_hosts:\n- hostnames: [shop.example]\n  policy: Strict\n  servers:\n  - address: 127.0.0.1:3000\n"


async def test_a_file_is_exported_planned_and_applied(ada_api: httpx2.AsyncClient) -> None:
    before = await ada_api.get(PATH)
    planned = await ada_api.post(f"{PATH}/plan", content=SITE, headers=YAML)
    unchanged = await ada_api.get(PATH)
    applied = await ada_api.post(f"{PATH}/apply", content=SITE, headers=YAML, params={"name": "site.yaml"})
    after = await ada_api.get(PATH)
    again = await ada_api.post(f"{PATH}/apply", content=after.text, headers=YAML, params={"prune": True})

    assert before.headers["content-type"] == "application/yaml"
    assert planned.status_code == 200, planned.text
    assert planned.json()["message"] == "2 added."
    assert (
        planned.json()["changes"]
        == applied.json()["changes"]
        == [
            {"noun": "policy", "kind": "added", "summary": "Added policy Strict"},
            {"noun": "virtual_host", "kind": "added", "summary": "Added virtual host shop.example"},
        ]
    )
    assert planned.json()["haproxy"].startswith("--- haproxy.cfg\n+++ haproxy.cfg\n@@ -")
    assert "+  - name: " in planned.json()["agent"] or planned.json()["agent"].startswith("--- coraza.yaml")
    assert before.text == unchanged.text != after.text
    assert applied.json()["deployment"]["status"] == "live"
    assert again.json() == {"changes": [], "deployment": None}
    assert (await ada_api.get("/api/v1/vhosts")).json()["total"] == 1


async def test_a_refused_file_names_lines_and_changes_nothing(ada_api: httpx2.AsyncClient) -> None:
    for verb in ("plan", "apply"):
        answer = await ada_api.post(f"{PATH}/{verb}", content=SITE.replace("block", "blok"), headers=YAML)

        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert (error["field"], error["pointer"]) == ("policies.0.enforcement_mode", "/policies/0/enforcement_mode")
        assert error["where"] == "line 3"
    assert (await ada_api.get("/api/v1/policies")).json()["total"] == 1


async def test_a_row_that_a_file_does_not_name_is_said_by_its_name(ada_api: httpx2.AsyncClient) -> None:
    """`policy:1` says nothing to those who write files."""
    site = (
        SITE.replace("Strict", "In use v1.2") + "- hostnames: [blog.example]\n  servers: [{address: 127.0.0.1:3000}]\n"
    )
    site = site.replace("- name: In", "- name: Default\n- name: In") + "  policy: Default\n"
    assert (await ada_api.post(f"{PATH}/apply", content=site, headers=YAML)).status_code == 200
    without = site[site.index("virtual_hosts:") :]

    answers = [
        await ada_api.post(f"{PATH}/{verb}", content=without, headers=YAML, params={"prune": True})
        for verb in ("plan", "apply")
    ]

    for answer in answers:
        assert {(error["field"], error["pointer"], error["where"]) for error in answer.json()["errors"]} == {
            ("policy:1", "", "Policy Default"),
            ("policy:2", "", "Policy In use v1.2"),
        }
        assert "In use v1.2 is used by shop.example." in answer.json()["detail"]
        assert "policy:" not in answer.json()["detail"]


async def test_what_a_file_does_not_name_is_deleted_if_asked_for(ada_api: httpx2.AsyncClient) -> None:
    await ada_api.post(f"{PATH}/apply", content=SITE, headers=YAML)
    usual = await ada_api.post(
        f"{PATH}/plan", content="policies: [{name: Strict, enforcement_mode: block}]", headers=YAML
    )
    pruned = await ada_api.post(
        f"{PATH}/plan",
        content="policies: [{name: Strict, enforcement_mode: block}]",
        headers=YAML,
        params={"prune": True},
    )

    assert usual.json()["changes"] == []
    assert [change["kind"] for change in pruned.json()["changes"]] == ["removed", "removed"]


@pytest.mark.parametrize("content", ["", " \n", "# Nothing\n", "{}"])
async def test_an_empty_file_deletes_nothing(ada_api: httpx2.AsyncClient, content: str) -> None:
    for headers in ({}, YAML):
        answer = await ada_api.post(f"{PATH}/apply", content=content, headers=headers, params={"prune": True})
        assert answer.status_code == 422, answer.text
    assert (await ada_api.get("/api/v1/policies")).json()["total"] == 1


async def test_a_warning_is_confirmed_by_a_parameter(ada_api: httpx2.AsyncClient) -> None:
    text = "virtual_hosts:\n- hostnames: [a.example]\n  https: true\n  https_redirect: true\n  servers: [{address: 127.0.0.1:80}]\n"

    question = await ada_api.post(f"{PATH}/plan", content=text, headers=YAML)
    answer = await ada_api.post(f"{PATH}/plan", content=text, headers=YAML, params={"save_anyway": True})

    assert (question.status_code, question.json()["code"]) == (409, "needs_confirmation")
    assert question.json()["errors"][0]["where"] == "line 4"
    assert [change["kind"] for change in answer.json()["changes"]] == ["added"], answer.text


async def test_viewers_read_and_do_not_plan(vera_api: httpx2.AsyncClient) -> None:
    assert (await vera_api.get(PATH)).status_code == 200
    for verb in ("plan", "apply"):
        assert (await vera_api.post(f"{PATH}/{verb}", content=SITE, headers=YAML)).status_code == 403


async def test_a_file_has_its_limit(ada_api: httpx2.AsyncClient) -> None:
    some = await ada_api.post(f"{PATH}/plan", content="format: 1\n#" + "x" * (LARGEST - 20), headers=YAML)
    more = await ada_api.post(f"{PATH}/plan", content="#" + "x" * (LARGEST + 10), headers=YAML)
    odd = await ada_api.post(f"{PATH}/plan", content="", headers=YAML, params={"name": "a\nb"})

    assert some.json()["changes"] == []
    assert more.status_code == 413
    assert odd.json()["errors"][0]["field"] == "name"


CONFIGURATION = (
    "defaults\n mode http\nfrontend web\n bind :80\n use_backend app if { hdr(host) -f /etc/names.lst }\nbackend app\n"
    " server a 127.0.0.1:3000\n"
)


async def test_a_haproxy_configuration_becomes_a_file(
    ada_api: httpx2.AsyncClient, vera_api: httpx2.AsyncClient
) -> None:
    body = {"text": CONFIGURATION, "files": {"names.lst": "a.example\nb.example\n"}}
    answer = await ada_api.post(f"{PATH}/import", json=body)
    planned = await ada_api.post(f"{PATH}/plan", content=answer.json()["site"], headers=YAML)
    refused = await ada_api.post(f"{PATH}/import", json={"text": "<html>"})

    assert answer.json()["message"] == "7 lines: 4 imported, 0 kept as notes, 3 not taken."
    assert answer.json()["lines"][4] == {
        "line": 5, "text": "use_backend app if { hdr(host) -f /etc/names.lst }", "kind": "became", "what": "servers of a.example",
    }  # fmt: skip
    assert [change["summary"] for change in planned.json()["changes"]] == [
        "Added policy Imported",
        "Added virtual host a.example",
    ]
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "text")
    assert (await vera_api.post(f"{PATH}/import", json=body)).status_code == 403


async def test_a_plan_ends_when_its_client_disconnects(
    app: FastAPI, ada_api: httpx2.AsyncClient, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its check, too, and other saves do not wait for it."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def check(*_release: object, **_bundle: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    request = ada_api.build_request("POST", f"{PATH}/plan", content=SITE, headers=YAML)
    with monkeypatch.context() as patched:
        patched.setattr(engines, "check", check)
        status = await status_without_client(app, request, begun)

    assert ended.is_set()
    assert status == 499
    assert (await ada_api.post(f"{PATH}/apply", content=SITE, headers=YAML)).json()["deployment"]["status"] == "live"
