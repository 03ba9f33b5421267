"""A data directory that was moved, or copied while its panel runs: the next start renders what names places in it anew."""

import shutil
from collections.abc import Iterator

import httpx2
import pytest

from guardpanel.engines.moved import leave_former_place
from guardpanel.settings import Settings
from tests.panel import Panel, origin_server, running_panel
from tests.web import an_account, bearer

pytestmark = pytest.mark.one_haproxy

ATTACK = "/?id=1%27%20OR%20%271%27=%271"
ODD = "a b?%41#é'\"\\(){}*:@;[]"
"As long as HAProxy's sockets leave room for."

BANNED, DENIED = "127.70.0.1", "127.80.0.1"


@pytest.fixture(scope="module")
def panel(haproxy: str) -> Iterator[Panel]:
    """One for all, in the order in which they stand here: the last one moves it."""
    with origin_server() as port, running_panel(haproxy) as running:
        an_account(running)
        with bearer(running) as ada:
            for path, body in (
                ("/vhosts", {"hostnames": ["shop.example"], "servers": [{"address": f"127.0.0.1:{port}"}]}),
                ("/address-lists", {"name": "Scanners", "entries": DENIED}),
                ("/bans", {"network": BANNED}),
            ):
                answer = ada.post(path, json=body)
                assert answer.status_code == 201, answer.text
            assert ada.patch("/policies/1", json={"enforcement_mode": "block"}).status_code == 200
        assert statuses(running) == [200, 403, 403, 403]
        yield running


def statuses(panel: Panel) -> list[int]:
    """Of a clean request, an attack, and requests of a banned and a denied client."""
    asked = [("/", ""), (ATTACK, ""), ("/", BANNED), ("/", DENIED)]
    return [status(panel, target, client) for target, client in asked]


def status(panel: Panel, target: str, client: str) -> int:
    transport = httpx2.HTTPTransport(local_address=client or None)
    with httpx2.Client(transport=transport, timeout=60) as visitor:
        headers = {"host": "shop.example", "user-agent": "Mozilla/5.0"}
        return visitor.get(f"{panel.proxy}{target}", headers=headers).status_code


def move(panel: Panel, name: str) -> str:
    """Its next start is there. Returns where it was."""
    former = panel.data
    panel.data = former.with_name(name)
    panel.environment["GUARDPANEL_DATA_DIR"] = str(panel.data)
    return str(former)


def mentions(panel: Panel, place: str) -> list[str]:
    files = [path for folder in ("current/", "run") for path in (panel.data / folder).rglob("*") if path.is_file()]
    return [path.name for path in files if f"{place}/".encode() in path.read_bytes()]


def test_a_copy_leaves_its_original_alone(panel: Panel, haproxy: str) -> None:
    copy = Panel(panel.data.with_name("copy"), haproxy)
    shutil.copytree(panel.data, copy.data, symlinks=True, ignore=shutil.ignore_patterns("*.sock*"))
    try:
        copy.start()
        assert statuses(copy) == [200, 403, 403, 403]
        assert mentions(copy, str(panel.data)) == []
    finally:
        copy.stop()
    assert statuses(panel) == [200, 403, 403, 403]
    assert panel.faults() == []


def test_a_haproxy_that_runs_keeps_its_files(panel: Panel) -> None:
    """As under `guardpanel serve`, where something else starts it: a reload brings it the new places."""
    former = panel.data.with_name("link")
    former.symlink_to(panel.data)
    settings = Settings(data_dir=panel.data)
    settings.place_note.write_text(str(former))

    assert leave_former_place(settings) == former

    assert (panel.data / "current").is_symlink()
    assert settings.agent_configuration.exists()
    assert leave_former_place(settings) is None


def test_a_moved_directory_serves_as_before_by_itself(panel: Panel) -> None:
    panel.stop()
    former = move(panel, ODD)
    shutil.move(former, panel.data)

    panel.start()

    assert statuses(panel) == [200, 403, 403, 403]
    assert mentions(panel, former) == []
    assert f"guardpanel: the data directory was at {former}. Its files are rendered anew." in panel.output.read_text()
    panel.stop()
    written = (panel.data / "current").readlink()
    panel.start()
    assert (panel.data / "current").readlink() == written  # Nothing is rendered anew a second time.
