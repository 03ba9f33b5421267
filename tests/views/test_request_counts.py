"""A virtual host's requests over time, as a chart with its table, and as JSON."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from guardpanel.events import schema
from guardpanel.events.traffic import FINE, Count
from guardpanel.ingest import busiest, traffic
from guardpanel.ingest.traffic import LOGGED, Counts
from guardpanel.panel import Panel
from guardpanel.services.events.traffic import Slot, Traffic
from guardpanel.views.traffic_chart import MOST_BARS, Chart
from tests.events import a_passed_line, as_line
from tests.factories import a_virtual_host
from tests.html import read

pytestmark = pytest.mark.anyio

ALL_JSON = "/api/v1/request-counts"

PAGE, JSON = "/virtual-hosts/1/traffic", "/api/v1/vhosts/1/traffic"


@pytest.fixture
async def host(ada: httpx2.AsyncClient) -> None:
    assert (await ada.post("/virtual-hosts", data=a_virtual_host())).status_code == 303


def keep(panel: Panel, host: int, ago: timedelta, count: Count) -> None:
    second = int((datetime.now(UTC) - ago).timestamp())
    with closing(schema.open_to_write(panel.settings.events_database)) as connection:
        traffic.store(connection, {(host, second - second % FINE.seconds): count})


def a_count(**others: int) -> Count:
    count = Count(requests=12, rejected=3, detected=2, sent=4_096, statuses=[0, 0, 7, 0, 1, 1])
    for milliseconds in (3, 3, 40):
        count.took(milliseconds)
    return count


async def test_the_page_has_the_chart_and_its_table(ada: httpx2.AsyncClient, panel: Panel, host: None) -> None:
    keep(panel, 1, timedelta(hours=1), a_count())
    keep(panel, 2, timedelta(hours=1), a_count())
    page = await ada.get(PAGE)
    text = " ".join(page.text.split())
    assert "12 requests in 24 hours" in text
    assert "3 ms (p50)" in text
    assert ">3 rejected<" in text.replace("</i> ", ">").replace(" rejected</span>", " rejected<")
    assert text.count("<rect") == 3
    assert (await ada.get("/virtual-hosts/1")).text.count("<rect") == 3
    assert "14 with no rule fired" in (dashboard := (await ada.get("/")).text)
    assert "2 got a 5xx status" in dashboard


@pytest.mark.parametrize("range", ["3h", "24h", "7d", "30d", "", "1y", "'><b>"])
async def test_without_requests_it_says_so_in_every_range(range: str, ada: httpx2.AsyncClient, host: None) -> None:
    page = await ada.get(PAGE, params={"range": range})
    assert page.status_code == 200
    assert "No requests in the last" in page.text
    assert "<rect" not in page.text


async def test_as_json(ada_api: httpx2.AsyncClient, panel: Panel, host: None) -> None:
    keep(panel, 1, timedelta(minutes=30), a_count())
    answer = (await ada_api.get(JSON, params={"hours": 1})).json()
    assert answer["step_seconds"] == FINE.seconds
    assert len(answer["steps"]) in {12, 13}
    assert answer["total"] == {
        "requests": 12, "rejected": 3, "detected": 2, "bytes_sent": 4_096, "p50": 3, "p95": 40, "p99": 40,
        "statuses": {"other": 0, "1xx": 0, "2xx": 7, "3xx": 0, "4xx": 1, "5xx": 1},
    }  # fmt: skip
    assert (await ada_api.get(JSON, params={"hours": 72})).json()["step_seconds"] == 3_600
    for hours in (0, 745, "x"):
        assert (await ada_api.get(JSON, params={"hours": hours})).status_code == 422
    assert (await ada_api.get("/api/v1/vhosts/9/traffic")).status_code == 404


@pytest.mark.parametrize("slots", [0, 1, MOST_BARS, MOST_BARS + 1, 577])
def test_slots_are_put_together_without_losing_any(slots: int) -> None:
    now = datetime.now(UTC)
    every = [Slot(now + timedelta(minutes=5 * at), Count(requests=at)) for at in range(slots)]
    chart = Chart.of(Traffic(FINE, every))
    assert len(chart.bars) <= MOST_BARS
    assert sum(bar.count.requests for bar in chart.bars) == sum(range(slots)) == chart.total.requests
    assert all(abs(sum(part.height for part in bar.parts) - 100 * bar.count.requests / chart.top) < 1e-9
               for bar in chart.bars if bar.parts)  # fmt: skip


def keep_lines(panel: Panel, *lines: dict[str, Any]) -> None:
    """As the ingest stores them."""
    counts = Counts()
    for line in lines:
        counts.add(LOGGED.decode(as_line(line)))
    with closing(schema.open_to_write(panel.settings.events_database)) as connection:
        traffic.store(connection, counts.rows)
        busiest.store(connection, counts.groups)


def an_hour_ago(**others: Any) -> dict[str, Any]:
    moment = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    return a_passed_line(**{"time": moment, "path": "/", "bytes": 100, **others})


@pytest.mark.parametrize("range", ["24h", "7d", "30d"])
async def test_the_busiest_paths_and_clients_are_listed(
    range: str, ada: httpx2.AsyncClient, panel: Panel, host: None
) -> None:
    lines = [
        an_hour_ago(path="/orders/17"),
        an_hour_ago(path="/orders/18", status=404),
        an_hour_ago(client="2001:db8::7"),
    ]
    keep_lines(panel, *lines, an_hour_ago(path="/<b>", virtual_host="2"), an_hour_ago(verdict="denied", client="-"))
    paths = read((await ada.get(f"{PAGE}/paths", params={"range": range})).text)
    assert "/orders/{number} 2 requests 50.0 % 0 0 1 0" in paths.text
    assert f"{PAGE}/log?path=%2Forders%2F" in [link.get("href") for link in paths.find("a")]
    clients = read((await ada.get(f"{PAGE}/clients", params={"range": range})).text)
    assert "2001:db8::/64 1 request 25.0 %" in clients.text
    assert "Everything else 1 request 25.0 % 1 0 0 0" in clients.text
    links = [link.get("href") for link in clients.find("a")]
    for url in (
        "/access/why?q=2001%3Adb8%3A%3A", "/events?client=2001%3Adb8%3A%3A%2F64&virtual_host=1",
        "/access/bans?network=2001%3Adb8%3A%3A/64", f"{PAGE}/log?client=192.0.2.7",
    ):  # fmt: skip
        assert url in links
    everywhere = read((await ada.get("/traffic/paths", params={"range": range})).text)
    assert "/<b> 1 request 20.0 %" in everywhere.text
    assert "5 requests in" in read((await ada.get("/traffic", params={"range": range})).text).text
    assert (await ada.get(f"{PAGE}/nothing")).status_code == 404


@pytest.mark.parametrize("page", ["/traffic", "/traffic/paths", "/traffic/clients", f"{PAGE}/paths", f"{PAGE}/clients"])
async def test_nothing_counted_is_no_fault(page: str, ada: httpx2.AsyncClient, host: None) -> None:
    assert "No requests in the last 24 hours." in (await ada.get(page)).text


async def test_the_busiest_as_json(ada_api: httpx2.AsyncClient, panel: Panel, host: None) -> None:
    keep_lines(panel, an_hour_ago(), an_hour_ago(), an_hour_ago(path="/a", status=500, client="198.51.100.7"))
    answer = (await ada_api.get(f"{JSON}/paths", params={"limit": 1})).json()
    assert [(item["name"], item["requests"], item["p95"]) for item in answer["items"]] == [("/", 2, 3)]
    assert (answer["total"]["requests"], answer["others"]["statuses"]["5xx"]) == (3, 1)
    week = (await ada_api.get(f"{JSON}/clients", params={"hours": 168})).json()
    assert [item["name"] for item in week["items"]] == ["192.0.2.7", "198.51.100.7"]
    assert week["since"].endswith("T00:00:00Z")
    for wrong in ({"hours": 0}, {"limit": 41}, {"limit": "x"}, {"range": "7d"}):
        assert (await ada_api.get(f"{JSON}/paths", params=wrong)).status_code == 422
    assert (await ada_api.get("/api/v1/vhosts/9/traffic/clients")).status_code == 404


@pytest.mark.parametrize("names", ["paths", "clients"])
async def test_the_busiest_of_all_virtual_hosts_as_json(ada_api: httpx2.AsyncClient, panel: Panel, names: str) -> None:
    keep_lines(panel, an_hour_ago(), an_hour_ago(path="/a", virtual_host="2"), an_hour_ago(virtual_host="2"))
    answer = (await ada_api.get(f"{ALL_JSON}/{names}", params={"limit": 1})).json()
    expected = {"paths": ("/", 2), "clients": ("192.0.2.7", 3)}
    assert [(item["name"], item["requests"]) for item in answer["items"]] == [expected[names]]
    whole = (await ada_api.get(ALL_JSON, params={"hours": 168})).json()
    assert (answer["total"]["requests"], whole["total"]["requests"], whole["step_seconds"]) == (3, 3, 3600)
    for url in (ALL_JSON, f"{ALL_JSON}/{names}"):
        assert (await ada_api.get(url, params={"hours": 0})).status_code == 422
