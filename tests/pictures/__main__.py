"""Photographs every page of a real installation, light and dark, wide and narrow, and tells what a script can find wrong.

    make pictures ARGS="--out DIR --only 'policy.*'"

`--serve FILE` starts the installation and leaves it running until it is told to end, `--of FILE` photographs that one.
"""

import argparse
import contextlib
import json
import random
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.e2e.conftest import FLAGS, chromium
from tests.mmdb import database, network
from tests.panel import Panel, migrated, origin_server, running_panel
from tests.pictures import installation
from tests.pictures.camera import Camera
from tests.pictures.pages import AS_VIEWER, BARE, EMPTY, PAGES
from tests.pictures.states import photograph_states
from tests.web import EMAIL, Person, an_account, bearer

VIEWER = "vera@example.org"


@contextlib.contextmanager
def filled_panel(out: Path) -> Iterator[Panel]:
    """With a week behind it. The form for the first account is photographed before there is one."""
    folder, chance = Path(tempfile.mkdtemp(prefix="gp")), random.Random(7)
    data = folder / "d"
    data.mkdir(mode=0o700)
    (data / "guardpanel.db").write_bytes(migrated())
    (folder / "feed.txt").write_text("203.0.113.64/26\n198.51.100.0/25\n")
    database(folder / "country.mmdb", {"203.0.113.0/24": "DE", "198.51.100.0/24": "FR"})
    database(folder / "asn.mmdb", {"203.0.113.0/24": network(64500)}, kind="Test-ASN")
    environment = {
        "GUARDPANEL_FEED_FILES": str(folder),
        "GUARDPANEL_GEO_COUNTRY_FILE": str(folder / "country.mmdb"),
        "GUARDPANEL_GEO_ASN_FILE": str(folder / "asn.mmdb"),
    }
    with origin_server() as origin, running_panel(data=data, environment=environment) as panel:
        with browser() as made:
            camera = Camera(made.new_context(), panel.url, out)
            camera.take("set-up", panel.setup_link.removeprefix(panel.url))
            camera.page.get_by_label("Email").fill("nobody")
            camera.submit("set-up-refused")
        an_account(panel)
        an_account(panel, VIEWER, "viewer")
        with browser() as made:
            walk(made, panel, out, EMAIL, EMPTY)
        installation.fill_past(data / "events.db", chance)
        with bearer(panel) as api, Person(panel) as ada:
            installation.Setting(panel, api, ada, origin).fill()
            installation.visit(panel, chance)
            installation.wait_for_events(api)
        yield panel


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield made
        made.close()


def known(panel: Panel) -> dict[str, str]:
    """What pages' URLs need and nobody can know before."""
    with bearer(panel) as api, Person(panel) as ada:
        posts = api.get("/logs", params={"path": "/admin/posts"}).json()["items"]
        every = api.get("/logs", params={}).json()["items"]
        ids = [item["producer_event_id"] for item in posts] or ["nothing"]
        detected = [item["producer_event_id"] for item in every if item.get("action") != "deny"] or ids
        changes = re.findall(r'href="/changes/(\d+)"', ada.get("/changes").html) or ["1"]
        rejected = re.findall(r'href="/changes/(\d+)"', ada.get("/changes?outcome=rejected").html) or ["1"]
        groups = re.findall(r'href="/event-groups/([0-9]+-[0-9a-f]+)"', ada.get("/event-groups?time=7d").html) or [
            "1-0"
        ]
    return {
        "blocked": ids[0],
        "detected": detected[0],
        "change": changes[0],
        "rejected": rejected[0],
        "group": groups[0],
    }


def logged_in(panel: Panel, email: str) -> list[dict[str, str]]:
    with Person(panel, email):
        return [{"name": name, "value": value, "url": panel.url} for name, value in panel.sessions[email].items()]


def camera_of(made: Browser, panel: Panel, out: Path, email: str) -> Camera:
    context = made.new_context()
    context.add_cookies(logged_in(panel, email) if email else [])  # type: ignore[arg-type]
    return Camera(context, panel.url, out)


def walk(made: Browser, panel: Panel, out: Path, email: str, pages: Mapping[str, str]) -> None:
    camera = camera_of(made, panel, out, email)
    for name, path in pages.items():
        camera.take(name, path)


def photograph(panel: Panel, out: Path, only: str) -> None:
    chosen, ids = re.compile(only), known(panel)
    with browser() as made:
        for email, pages in ((EMAIL, PAGES), (VIEWER, AS_VIEWER), ("", BARE)):
            walk(
                made,
                panel,
                out,
                email,
                {name: path.format(**ids) for name, path in pages.items() if chosen.fullmatch(name)},
            )
        photograph_states(camera_of(made, panel, out, EMAIL), panel, chosen)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make pictures")
    parser.add_argument("--out", type=Path, default=Path("test-results/pictures"))
    parser.add_argument("--only", default=".*", help="a regular expression for names of pages")
    parser.add_argument("--serve", type=Path, help="leave it running, and write here where it is")
    parser.add_argument("--of", type=Path, help="photograph the one that runs")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.of:
        where = json.loads(given.of.read_text())
        panel = Panel(Path(where["data"]))
        panel.url, panel.proxy = where["url"], where["proxy"]
        photograph(panel, given.out, given.only)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # by way of all that has to end with us
    with filled_panel(given.out) as panel:
        if given.serve:
            given.serve.write_text(json.dumps({"data": str(panel.data), "url": panel.url, "proxy": panel.proxy}))
            signal.pause()
        else:
            photograph(panel, given.out, given.only)


if __name__ == "__main__":
    main()
