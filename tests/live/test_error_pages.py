"""Pages of HAProxy's own with an operator's text, logo and contact: whose visitors get which, before and after a reload."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from markupsafe import escape

from guardpanel.models.error_page import LONGEST_TEXT
from guardpanel.models.logo import LARGEST
from guardpanel.rendering import Rows
from tests.factories import A_LOGO
from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.test_access import ask
from tests.ports import free_port
from tests.rows import maps_of, rows

ATTACK = "/?q=1%27%20OR%20%271%27%3D%271"

ODD = "100% %[src] %ci \"'`\\ # <b>bold</b> &amp; é😀 {{ 7*7 }} ${HOME}"

BIG = base64.b64encode(base64.b64decode(A_LOGO).ljust(LARGEST, b"\0")).decode()

PAGES: list[dict[str, Any]] = [
    {"is_default": True, "site_name": "Everybody’s", "text": ODD, "contact": "help@example.org"},
    {"site_name": "Shop", "accent": "#0a7", "logo": A_LOGO, "contact": "https://shop.test/help"},
    {"site_name": "x" * 100, "logo": BIG, "text": '"' * LONGEST_TEXT, "contact": "https://shop.test/" + "&" * 280},
]


LISTS = [{"name": "Rejected", "kind": "deny", "entries": ["127.0.0.3"]}]


def state(server: Origin, pages: list[dict[str, Any]]) -> Rows:
    common = {"servers": [{"address": server.address}], "health_check": False, "policy": "Block"}
    gone = {"servers": [{"address": f"127.0.0.1:{free_port()}"}], "retries": 0}
    own = {"error_page_id": 2} if pages else {}
    hosts = {
        "plain.test": common,
        "shop.test": {**common, **own},
        "down.test": {**common, **own, **gone},
        "closed.test": {**common, **own, "maintenance": True},
        "big.test": {**common, **({"error_page_id": 3} if pages else {})},
    }
    paths = [
        {"path": "/shop", "virtual_host_id": 1, "error_page_id": 2},
        {"path": "/quiet", "virtual_host_id": 2, "enforcement_mode": "detect_only"},
        {"path": "/login", "virtual_host_id": 2, "policy": "Block"},
    ]
    given = paths if pages else []
    return rows({"Block": {"enforcement_mode": "block"}}, hosts, error_pages=pages, paths=given, address_lists=LISTS)


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    with Stack(haproxy, state(server, []), list_maps=maps_of(LISTS)) as running:
        assert "<p>" in running.get("shop.test", ATTACK).text
        assert "Shop" not in running.get("shop.test", ATTACK).text
        running.again(state(server, PAGES))
        yield running


@pytest.mark.parametrize(
    ("host", "target", "status", "heading"),
    [
        ("shop.test", ATTACK, 403, "Request blocked"),
        ("down.test", "/", 503, "Temporarily unavailable"),
        ("closed.test", "/", 503, "Under maintenance"),
    ],
)
def test_visitors_get_the_pages_of_their_virtual_host(
    stack: Stack, host: str, target: str, status: int, heading: str
) -> None:
    answer = stack.get(host, target)

    assert answer.status == status
    assert f"<h1>{heading}</h1>" in answer.text
    assert f'<p class="brand"><img alt="" src="data:image/png;base64,{A_LOGO}"> Shop</p>' in answer.text
    assert "border-top: .375rem solid #00aa77" in answer.text
    assert '<a href="https://shop.test/help">https://shop.test/help</a>' in answer.text
    assert f"<code>{answer.verdict['request-id']}</code>" in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("host", "target", "status"), [("plain.test", ATTACK, 403), ("unknown.test", "/", 421), ("plain.test", "/", 200)]
)
def test_all_others_get_the_default_ones(stack: Stack, host: str, target: str, status: int) -> None:
    answer = stack.get(host, target)

    assert answer.status == status
    if status != 200:
        assert "Everybody’s</p>" in answer.text
        assert f"<p>{escape(ODD)}</p>" in answer.text
        assert '<a href="mailto:help@example.org">help@example.org</a>' in answer.text
        assert f"<code>{answer.verdict['request-id']}</code>" in answer.text


@pytest.mark.parametrize(
    ("host", "target", "brand"),
    [
        ("plain.test", f"/shop/x{ATTACK}", " Shop"),
        ("plain.test", f"/sh%6Fp{ATTACK}", " Shop"),
        ("plain.test", f"/shops{ATTACK}", "Everybody’s"),
        ("plain.test", "/shop/%zz", "Everybody’s"),
        ("shop.test", f"/login{ATTACK}", " Shop"),
        ("shop.test", "/quiet/%2561", " Shop"),
    ],
)
def test_a_path_has_its_own_pages_or_its_virtual_hosts(stack: Stack, host: str, target: str, brand: str) -> None:
    answer = stack.get(host, target)

    assert answer.status == (403 if ATTACK in target else 400)
    assert f"{brand}</p>" in answer.text


def test_who_is_rejected_before_the_path_counts_gets_the_virtual_hosts_pages(stack: Stack) -> None:
    assert " Shop</p>" in ask(stack, "127.0.0.3", "/quiet", "shop.test").text


def test_the_largest_page_arrives_whole(stack: Stack) -> None:
    answer = stack.get("big.test", ATTACK)

    assert answer.status == 403
    assert f'src="data:image/png;base64,{BIG}"' in answer.text
    assert "&#34;" * LONGEST_TEXT in answer.text
    assert answer.text.endswith("</a></p>\n</main>\n</html>\n")


def test_without_sets_pages_are_as_they_were(stack: Stack, server: Origin) -> None:
    stack.reload(state(server, []))

    page = stack.get("shop.test", ATTACK).text
    assert "brand" not in page and "Contact" not in page
    stack.reload(state(server, PAGES))
    assert "Shop</p>" in stack.get("shop.test", ATTACK).text
