"""Virtual hosts in the contract of the React panel, and by our own keys."""

import asyncio
from datetime import datetime
from typing import Any

import httpx2
import pytest

from guardpanel.panel import Panel
from tests.factories import a_react_policy, a_vhost
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio

VHOSTS = "/api/v1/vhosts"
VHOST = f"{VHOSTS}/1"


async def make(client: httpx2.AsyncClient, domain: str = "shop.example", **others: Any) -> dict[str, Any]:
    answer = await client.post(VHOSTS, json=a_vhost(domain, **others))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def made_once(client: httpx2.AsyncClient) -> dict[str, Any]:
    """On a panel that several tests share."""
    answer = await client.get(VHOST)
    row: dict[str, Any] = answer.json() if answer.status_code == 200 else await make(client)
    return row


def backend(port: int = 3000, **others: Any) -> dict[str, Any]:
    return {**a_vhost()["backends"][0], "url": f"http://127.0.0.1:{port}", **others}


async def test_create_answers_the_object_and_how_it_went_live(
    ada_api: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    answer = await ada_api.post(VHOSTS, json=a_vhost(description="Our shop"))

    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["etag"] == '"1"'
    assert made["domain"] == made["name"] == "shop.example"
    assert made["hostnames"] == ["shop.example"]
    assert made["description"] == "Our shop"
    assert made["deployment"]["status"] == "live"
    assert made["deployment"]["revision"] == 2
    assert [step["name"] for step in made["deployment"]["steps"]][-3:] == ["agent", "reload", "verify"]
    assert engines.running is not None
    assert "shop.example" in engines.running.files["hosts.map"].decode()


async def test_reads_have_every_key_that_the_react_panel_looks_at(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api, policy_id=1)

    listed, read = (await ada_api.get(VHOSTS)).json(), (await ada_api.get(VHOST)).json()

    assert (listed["total"], listed["page"], listed["per_page"]) == (1, 1, 50)
    for host in (listed["items"][0], read):
        assert host["domain"] == "shop.example"
        assert host["backend_url"] == "http://127.0.0.1:3000"
        assert host["backends"] == [
            {"id": 1, "url": "http://127.0.0.1:3000", "is_active": True, "weight": 100, "backup": False, "draining": False,
             "resolve_later": False, "max_connections": 0, "health_check_enabled": True, "health_check_path": "/", "health_check_interval_seconds": 5, "health_check_fall": 3,
             "health_check_rise": 2}
        ]  # fmt: skip
        assert (host["ssl_enabled"], host["ssl_provider"], host["ssl_expires_at"]) == (False, "none", None)
        assert (host["is_active"], host["policy_id"], host["description"]) == (True, 1, None)
    assert read["policy"] == {
        "id": 1, "name": "Default", "enforcement_mode": "detect_only", "is_active": True, "paranoia_level": 1,
        "inbound_anomaly_threshold": 5,
    }  # fmt: skip
    for moment in (read["created_at"], read["updated_at"]):
        assert moment.endswith("Z")
        assert datetime.fromisoformat(moment).tzinfo is not None


async def test_no_policy_is_the_default_policy(ada_api: httpx2.AsyncClient) -> None:
    strict = (await ada_api.post("/api/v1/policies", json=a_react_policy())).json()["id"]
    least = {"domain": "b.example", "backend_url": "http://127.0.0.1:3000"}
    made = [await make(ada_api), (await ada_api.post(VHOSTS, json=least)).json()]
    chosen = (await ada_api.patch(VHOST, json={"policy_id": strict})).json()
    back = (await ada_api.patch(VHOST, json=a_vhost(policy_id=None))).json()

    assert [host["policy_id"] for host in (*made, chosen, back)] == [1, 1, strict, 1]
    assert (await ada_api.get(VHOST)).json()["policy"]["name"] == "Default"


async def test_a_virtual_host_without_a_policy_keeps_none(ada_api: httpx2.AsyncClient) -> None:
    await ada_api.delete("/api/v1/policies/1?confirm=true")
    await make(ada_api)
    await ada_api.post("/api/v1/policies", json=a_react_policy())

    after = (await ada_api.patch(VHOST, json=a_vhost(description="Edited"))).json()

    assert (after["description"], after["policy_id"]) == ("Edited", None)
    assert (await ada_api.get(VHOST)).json()["policy"] is None


async def test_lists_are_paged_searched_and_counted_before_paging(ada_api: httpx2.AsyncClient) -> None:
    for number in range(5):
        await make(ada_api, f"s{number}.example", backends=[backend(3000 + number)])

    second = (await ada_api.get(VHOSTS, params={"page": 2, "per_page": 2})).json()
    beyond = (await ada_api.get(VHOSTS, params={"page": 9, "per_page": 500})).json()
    matches = (await ada_api.get(VHOSTS, params={"q": ":3004"})).json()

    assert ([item["domain"] for item in second["items"]], second["total"]) == (["s2.example", "s3.example"], 5)
    assert (beyond["items"], beyond["total"]) == ([], 5)
    assert ([item["domain"] for item in matches["items"]], matches["total"]) == (["s4.example"], 1)


@pytest.mark.parametrize("query", [{"page": 0}, {"per_page": 501}, {"per_page": 0}, {"page": "x"}, {"q": "x" * 201}])
@pytest.mark.changes_nothing
async def test_an_invalid_page_is_rejected_by_name(ada_api: httpx2.AsyncClient, query: dict[str, Any]) -> None:
    answer = await ada_api.get(VHOSTS, params=query)

    assert answer.status_code == 422
    assert next(iter(query)) in answer.json()["detail"]


async def test_patch_changes_the_named_keys_alone(ada_api: httpx2.AsyncClient) -> None:
    strict = (await ada_api.post("/api/v1/policies", json=a_react_policy())).json()["id"]
    before = await make(ada_api, description="Our shop")

    answer = await ada_api.patch(VHOST, json={"policy_id": strict})

    after = answer.json()
    assert answer.status_code == 200
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"policy_id", "version", "updated_at", "deployment"}
    assert (await ada_api.patch(VHOST, json={"description": None})).json()["description"] is None


async def test_a_patch_without_effect_on_the_engines_is_reported(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api)

    deployment = (await ada_api.patch(VHOST, json={"description": "Only words"})).json()["deployment"]

    assert deployment["status"] == "unchanged"
    assert deployment["revision"] == 2


async def test_the_react_form_keeps_what_it_does_not_know(ada_api: httpx2.AsyncClient) -> None:
    servers = [
        {"address": "127.0.0.1:3000", "weight": 7, "max_connections": 20},
        {"address": "app.test", "scheme": "https", "backup": True, "resolve_later": True},
    ]
    own = {
        "maintenance": True,
        "sticky_sessions": "cookie",
        "server_protocol": "http2",
        "streaming": True,
        "upgrades": ["tcp"],
    }
    await ada_api.post(VHOSTS, json={"hostnames": ["shop.example", "www.shop.example"], "servers": servers, **own})
    react = a_vhost(
        description="Edited",
        backends=[backend(3000), {"url": "https://app.test:443", "is_active": False}, backend(3001)],
    )

    after = (await ada_api.patch(VHOST, json=react)).json()

    assert after["hostnames"] == ["shop.example", "www.shop.example"]
    assert {name: after[name] for name in own} == own
    assert [server["max_connections"] for server in after["servers"]] == [20, 0, 0]
    assert [
        (backend["url"], backend["weight"], backend["backup"], backend["is_active"], backend["resolve_later"])
        for backend in after["backends"]
    ] == [
        ("http://127.0.0.1:3000", 7, False, True, False),
        ("https://app.test:443", 100, True, False, True),
        ("http://127.0.0.1:3001", 100, False, True, False),
    ]


async def test_the_name_follows_the_domain_unless_it_was_set(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api)
    followed = (await ada_api.patch(VHOST, json={"domain": "new.example"})).json()
    await ada_api.patch(VHOST, json={"name": "Shop"})
    kept = (await ada_api.patch(VHOST, json={"domain": "newer.example"})).json()

    assert (followed["name"], followed["hostnames"]) == ("new.example", ["new.example"])
    assert (kept["name"], kept["hostnames"]) == ("Shop", ["newer.example"])


async def test_backend_url_alone_changes_the_first_server(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api, backends=[backend(3000), backend(3001)])

    after = (await ada_api.patch(VHOST, json={"backend_url": "http://127.0.0.1:4000"})).json()

    assert [backend["url"] for backend in after["backends"]] == ["http://127.0.0.1:4000", "http://127.0.0.1:3001"]


OWN = ("health_check", "health_check_interval", "health_check_rise", "health_check_fall")


def checks(host: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The virtual host's, then each server's own."""
    return [tuple(one[name] for name in OWN) for one in (host, *host["servers"])]


async def test_a_check_that_all_backends_share_is_the_virtual_hosts(ada_api: httpx2.AsyncClient) -> None:
    seven = {"health_check_interval_seconds": 7, "health_check_rise": 4}
    made = await make(ada_api, backends=[backend(3000, **seven), backend(3001, **seven)])
    one_of_them = await ada_api.patch(
        VHOST, json={"backends": [made["backends"][0], backend(3001, **seven | {"health_check_rise": 9})]}
    )
    back = await ada_api.patch(VHOST, json={"backends": made["backends"]})

    assert checks(made) == [(True, 7, 4, 3), (True, None, None, None), (True, None, None, None)]
    assert checks(one_of_them.json()) == [(True, 7, 4, 3), (True, None, None, None), (True, None, 9, None)]
    assert checks(back.json()) == checks(made)
    own = await ada_api.patch(
        VHOST, json={"health_check_interval": 8, "backends": [{**one, "is_active": True} for one in made["backends"]]}
    )
    assert [one["health_check_interval_seconds"] for one in own.json()["backends"]] == [8, 8]


async def test_a_backend_that_is_not_checked_is_so_alone(ada_api: httpx2.AsyncClient, engines: FakeEngines) -> None:
    off = {"health_check_enabled": False}
    made = await make(ada_api, backends=[backend(3000), backend(3001, **off)])
    assert engines.running is not None
    assert [one[0] for one in checks(made)] == [True, True, False]
    assert engines.running.files["haproxy.cfg"].decode().count(" no-check") == 1

    none = (await ada_api.patch(VHOST, json={"backends": [backend(3000, **off), backend(3001, **off)]})).json()
    assert [one["health_check_enabled"] for one in none["backends"]] == [False, False]
    assert none["health_check"] is False
    one = (await ada_api.patch(VHOST, json={"backends": [backend(3000), backend(3001, **off)]})).json()
    assert checks(one) == checks(made)

    refused = await ada_api.patch(VHOST, json={"health_check": False, "backends": [backend(3000), backend(3001)]})
    assert [error["field"] for error in refused.json()["errors"]] == ["backends.1.health_check_enabled"]


async def test_backends_are_known_again(ada_api: httpx2.AsyncClient) -> None:
    """By id, by URL, then by position; of two with one URL, each is itself."""
    servers = [{"address": f"127.0.0.1:{port}", "weight": weight} for port, weight in ((1, 11), (1, 12), (2, 13))]
    rows = (await ada_api.post(VHOSTS, json={"hostnames": ["shop.example"], "servers": servers})).json()["backends"]

    async def weights(*sent: dict[str, Any]) -> list[int]:
        saved = (await ada_api.patch(VHOST, json={"backends": [*sent]})).json()
        await ada_api.patch(VHOST, json={"servers": servers})
        return [one["weight"] for one in saved["backends"]]

    urls = [{"url": one["url"]} for one in rows]
    assert await weights({"url": "http://127.0.0.1:9"}, *urls[1:]) == [11, 12, 13]
    assert await weights(urls[2], urls[0]) == [13, 12]
    assert await weights(urls[0], {"url": "http://127.0.0.1:9"}, urls[2], {"url": "http://127.0.0.1:8"}) == [
        11,
        12,
        13,
        100,
    ]


async def test_our_own_keys(ada_api: httpx2.AsyncClient) -> None:
    own = {
        "name": "Shop", "hostnames": ["*.shop.example", "bücher.example"], "servers": [{"address": "https://10.0.0.5"}],
        "enforcement_mode": "block", "policy_id": 1, "balance": "leastconn", "health_check": True, "health_check_path": "/up",
        "health_check_interval": 9, "health_check_rise": 4, "health_check_fall": 5, "health_check_status": "200",
        "health_check_host": "up.example", "tls_verify": "off", "tls_name": "in.example", "maintenance": True,
    }  # fmt: skip
    made = (await ada_api.post(VHOSTS, json=own)).json()

    assert made["hostnames"] == ["*.shop.example", "xn--bcher-kva.example"]
    assert made["servers"] == [
        {
            "scheme": "https",
            "address": "10.0.0.5:443",
            "weight": 100,
            "backup": False,
            "enabled": True,
            "draining": False,
            "resolve_later": False,
            "max_connections": 0,
            "health_check": True,
            "health_check_interval": None,
            "health_check_rise": None,
            "health_check_fall": None,
        }
    ]
    assert {key: made[key] for key in own if key not in {"hostnames", "servers"}} == {
        key: value for key, value in own.items() if key not in {"hostnames", "servers"}
    }
    assert made["backends"][0]["health_check_interval_seconds"] == 9
    assert (await ada_api.patch(VHOST, json={"enforcement_mode": None})).json()["enforcement_mode"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [({"domain": "http://shop.example"}, "domain"), ({"domain": ""}, "domain"), ({"domain": None}, "domain"),
     ({"domain": "a\nb"}, "domain"), ({"hostnames": ["a.example", "A.example."]}, "hostnames"), ({"hostnames": []}, "hostnames"),
     ({"backend_url": "http://127.0.0.1:0"}, "backend_url"), ({"backend_url": None}, "backend_url"), ({"backends": []}, "backends"),
     ({"backends": [{"url": "http://127.0.0.1:65536"}]}, "backends.0.url"), ({"backends": [{"url": "ftp://a"}]}, "backends.0.url"),
     ({"backends": [backend(), backend(3001, health_check_path="x")]}, "backends.1.health_check_path"),
     ({"backends": [backend(health_check_interval_seconds=0)]}, "backends.0.health_check_interval_seconds"),
     ({"backends": [backend(), backend(3001, health_check_interval_seconds=0)]}, "backends.1.health_check_interval_seconds"),
     ({"backends": [backend(weight=257)]}, "backends.0.weight"), ({"servers": [{"address": "127.1"}]}, "servers.0.address"),
     ({"servers": [{"address": "a.test", "port": 1}]}, "servers.0.port"), ({"policy_id": 77}, "policy_id"),
     ({"description": "a\x00b"}, "description"), ({"is_active": "perhaps"}, "is_active"), ({"is_active": None}, "is_active"),
     ({"name": "a#b"}, "name"), ({"color": "red"}, "color"), ({"id": 7}, "id"),
     ({"ssl_enabled": "perhaps"}, "ssl_enabled"), ({"ssl_provider": "certbot"}, "ssl_provider"), ({"ssl_cert": "-----BEGIN"}, "ssl_cert"),
     ({"ssl_key": "-----BEGIN"}, "ssl_key"), ({"domain": "a.example", "hostnames": ["b.example"]}, "domain"),
     ({"backend_url": "http://a.test", "backends": [backend(url="http://b.test")]}, "backend_url"), ({"backends": None}, "backends"),
     ({"backends": [backend(3001)], "servers": [{"address": "127.0.0.1:3001"}]}, "backends"), ({"backends": [backend(id=7)]}, "backends.0.id"),
     ({"health_check_path": "/a", "backends": [backend(health_check_path="/b")]}, "backends.0.health_check_path"),
     ({"balance": "uri"}, "balance"), ({"tls_verify": "ca"}, "tls_ca"), ({"health_check_status": "99"}, "health_check_status")],
)  # fmt: skip
@pytest.mark.changes_nothing
async def test_a_refusal_names_the_key_that_was_sent(
    ada_api: httpx2.AsyncClient, engines: FakeEngines, body: dict[str, Any], field: str
) -> None:
    before = await made_once(ada_api)
    deployments = engines.deployments

    answer = await ada_api.patch(VHOST, json=body)

    problem = answer.json()
    assert answer.status_code == 422, problem
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["errors"][0]["pointer"] == "/" + field.replace(".", "/")
    assert problem["errors"][0]["message"]
    assert isinstance(problem["detail"], str)
    assert field.rsplit(".", maxsplit=1)[-1] in problem["detail"]
    assert engines.deployments == deployments
    after = (await ada_api.get(VHOST)).json()
    assert all(before[key] == value for key, value in after.items() if key != "policy")


async def test_a_name_that_is_taken_is_refused(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api, "bücher.example")

    answer = await ada_api.post(VHOSTS, json=a_vhost("xn--bcher-kva.example"))

    assert answer.status_code == 409
    assert [(error["field"], error["message"]) for error in answer.json()["errors"]] == [
        ("domain", "A virtual host for bücher.example already exists.")
    ]


async def test_words_of_an_engine_stand_at_the_key_that_was_sent(
    ada_api: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    await make(ada_api)
    engines.reject("servers.0.address", "could not resolve address", noun="virtual_host", noun_id=1)

    answer = await ada_api.patch(VHOST, json={"backends": [backend(url="http://nowhere.test")]})

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "config_rejected")
    assert problem["errors"][0]["field"] == "backends.0.url"
    assert "could not resolve address" in problem["errors"][0]["engine"]
    assert problem["errors"][0]["where"] == "haproxy.cfg line 212"
    assert "[ALERT]" in problem["output"]
    assert (await ada_api.get(VHOST)).json()["backend_url"] == "http://127.0.0.1:3000"


async def test_what_could_not_be_proved_live_was_not_saved(ada_api: httpx2.AsyncClient, engines: FakeEngines) -> None:
    await make(ada_api)
    engines.fail("verify")

    answer = await ada_api.patch(VHOST, json={"is_active": False})

    assert (answer.status_code, answer.json()["code"]) == (502, "rolled_back")
    assert "what was seen" in answer.json()["output"]
    assert (await ada_api.get(VHOST)).json()["is_active"] is True


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_stale_version_is_412_and_nothing_happens(ada_api: httpx2.AsyncClient, method: str) -> None:
    await make(ada_api)
    read = await ada_api.get(VHOST)
    await ada_api.patch(VHOST, json={"description": "Somebody else"})

    for tag in (read.headers["etag"], '"99"', '"x"', "1"):
        answer = await ada_api.request(method, VHOST, json={"description": "Mine"}, headers={"if-match": tag})
        assert (answer.status_code, answer.json()["code"]) == (412, "stale")
        assert (answer.json()["current"], answer.headers["etag"]) == (2, '"2"')
    assert (await ada_api.get(VHOST)).json()["description"] == "Somebody else"


async def test_several_versions_are_refused_as_such(ada_api: httpx2.AsyncClient) -> None:
    answer = await ada_api.patch(VHOST, json={"maintenance": True}, headers={"if-match": '"1", W/"2"'})

    assert answer.status_code == 422
    assert "Send one ETag" in answer.text


async def test_a_script_can_retry_with_the_version_in_a_412(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api)
    await ada_api.patch(VHOST, json={"description": "Somebody else"})
    late = await ada_api.patch(VHOST, json={"maintenance": True}, headers={"if-match": '"1"'})

    again = await ada_api.patch(VHOST, json={"maintenance": True}, headers={"if-match": late.headers["etag"]})

    assert again.status_code == 200
    assert (again.json()["description"], again.json()["maintenance"]) == ("Somebody else", True)
    assert (await ada_api.delete(VHOST, headers={"if-match": again.headers["etag"]})).status_code == 204


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"', "*"])
async def test_the_version_that_was_read_is_taken(ada_api: httpx2.AsyncClient, tag: str) -> None:
    await make(ada_api)

    answer = await ada_api.patch(VHOST, json={"description": "Mine"}, headers={"if-match": tag})

    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'


async def test_patches_of_different_keys_at_once_both_stay(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api)
    bodies: list[dict[str, Any]] = [
        {"description": "Words"},
        {"maintenance": True},
        {"balance": "source"},
        {"name": "Shop"},
    ]

    answers = await asyncio.gather(*(ada_api.patch(VHOST, json=body) for body in bodies))

    assert [answer.status_code for answer in answers] == [200] * 4
    after = (await ada_api.get(VHOST)).json()
    assert all(after[key] == value for body in bodies for key, value in body.items())


async def test_pages_answer_while_saves_wait_for_their_turn(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    await make(ada_api)
    async with panel.changes.turn():
        saves = [asyncio.create_task(ada_api.patch(VHOST, json={"description": str(n)})) for n in range(12)]
        async with asyncio.timeout(60):
            while len(panel.changes._turn._waiters or ()) < len(saves):
                await asyncio.sleep(0.005)
            assert (await ada_api.get(VHOST)).status_code == 200
    await asyncio.gather(*saves)


async def test_takeovers_by_wildcards_can_be_queried(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api)
    assert (await ada_api.patch(VHOST, json={"hostnames": ["shop.example", "z.wild.example"]})).status_code == 200
    other = await make(ada_api, "*.wild.example")

    heirs = await ada_api.get(f"{VHOST}/heirs")

    assert heirs.json() == [
        {"hostname": "z.wild.example", "wildcard": "*.wild.example", "virtual_host_id": other["id"]},
    ]


async def test_delete(ada_api: httpx2.AsyncClient, engines: FakeEngines) -> None:
    await make(ada_api)

    answer = await ada_api.delete(VHOST)

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await ada_api.get(VHOST)).status_code == 404
    assert (await ada_api.delete(VHOST)).status_code == 404
    assert (await ada_api.patch(VHOST, json={})).status_code == 404
    assert engines.running is not None
    assert "shop.example" not in engines.running.files["hosts.map"].decode()


async def test_a_viewer_may_look(ada_api: httpx2.AsyncClient, vera_api: httpx2.AsyncClient) -> None:
    await make(ada_api)

    assert (await vera_api.get(VHOSTS)).status_code == (await vera_api.get(VHOST)).status_code == 200
    assert (await vera_api.post(VHOSTS, json=a_vhost("other.example"))).status_code == 403


async def test_the_policy_of_the_react_panel_can_be_bound(ada_api: httpx2.AsyncClient) -> None:
    policy = (await ada_api.post("/api/v1/policies", json=a_react_policy())).json()
    await make(ada_api, policy_id=policy["id"])

    assert (await ada_api.get(VHOST)).json()["policy"]["name"] == "Strict"
    refused = await ada_api.delete(f"/api/v1/policies/{policy['id']}")
    assert refused.status_code == 409
    assert "shop.example" in refused.json()["detail"]


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 10**30, 0, -1])
@pytest.mark.changes_nothing
async def test_a_policy_that_no_row_can_have_is_not_found(ada_api: httpx2.AsyncClient, number: int) -> None:
    await made_once(ada_api)

    answer = await ada_api.patch(VHOST, json={"policy_id": number})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/policy_id")
    assert (await ada_api.get(VHOST)).json()["version"] == 1


async def test_one_that_redirects_needs_no_servers(ada_api: httpx2.AsyncClient) -> None:
    moved = {"hostnames": ["old.example"], "redirect": "308", "redirect_to": "https://new.example"}
    row = (await ada_api.post("/api/v1/vhosts", json=moved)).json()
    assert (row["servers"], row["backends"], row["backend_url"]) == ([], [], "")

    as_read = {"domain": "old.example", "backend_url": "", "backends": [], "description": "Moved", "is_active": True}
    answer = await ada_api.patch(f"/api/v1/vhosts/{row['id']}", json=as_read)
    assert answer.status_code == 200, answer.text
    assert answer.json()["description"] == "Moved"

    path = {"path": "/api", "enforcement_mode": "detect_only"}
    answer = await ada_api.post(f"/api/v1/vhosts/{row['id']}/policy-bindings", json=path)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (409, "own_servers")
    served = await ada_api.post(
        f"/api/v1/vhosts/{row['id']}/policy-bindings", json={"path": "/api", "own_servers": ["10.0.0.7:3000"]}
    )
    assert served.status_code == 201

    answer = await ada_api.patch(f"/api/v1/vhosts/{row['id']}", json={"redirect": "no"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "servers")
