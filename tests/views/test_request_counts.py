"""A virtual host's requests over time, as a chart with its table, and as JSON."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from guardpanel.events import schema
from guardpanel.events.traffic import FINE, Count
from guardpanel.ingest import traffic
from guardpanel.panel import Panel
from guardpanel.services.events.traffic import Slot, Traffic
from guardpanel.views.traffic_chart import MOST_BARS, Chart
from tests.factories import a_virtual_host

pytestmark = pytest.mark.anyio

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
