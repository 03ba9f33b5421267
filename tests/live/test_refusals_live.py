"""What an operator types wrong comes back at its field with nothing lost, and changes nothing anywhere."""

import sqlite3
from collections.abc import Iterator

import httpx2
import pytest

from tests.panel import Panel
from tests.web import PASSWORD, Page, Person, a_host, a_policy


@pytest.fixture(scope="module")
def origin(origin_port: int) -> int:
    return origin_port


@pytest.fixture(scope="module")
def panel(shared_panel: Panel, origin: int) -> Panel:
    # By the command, which has the panel as its neighbour.
    shared_panel.command(
        "user", "create", "vera@example.org", "--role", "viewer", "--password-stdin", stdin=PASSWORD + "\n"
    )
    with Person(shared_panel) as person:
        created = person.post(
            "/virtual-hosts", a_host(origin, hostnames="shop.example\nbücher.example\n*.tenants.example")
        )
    assert created.status == 200, created.text
    return shared_panel


@pytest.fixture(scope="module")
def ada(panel: Panel) -> Iterator[Person]:
    with Person(panel) as person:
        yield person


class Everything:
    """What must not change: rows, release files, what HAProxy runs."""

    def __init__(self, panel: Panel) -> None:
        with sqlite3.connect(panel.data / "guardpanel.db") as database:
            self.rows = {
                table: database.execute(f"SELECT * FROM {table}").fetchall()
                for table in ("virtualhost", "hostname", "server", "policy", "revision")
            }
        root = panel.data / "releases"
        self.files = {
            str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
        }
        self.current = (panel.data / "current").readlink()
        self.runs = httpx2.get(f"{panel.url}/metrics").text.split("guardpanel_live_revision ")[1].split("\n")[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Everything) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture
def unchanged(panel: Panel) -> Iterator[None]:
    before = Everything(panel)
    yield
    assert Everything(panel) == before


LONG = "x" * 65_536

REFUSED_HOSTS = {
    "no port that exists": ({"servers.0.address": "10.0.0.5:0"}, "servers.0.address", "between 1 and 65535"),
    "a port too high": ({"servers.0.address": "10.0.0.5:65536"}, "servers.0.address", "between 1 and 65535"),
    "a port in other digits": ({"servers.0.address": "10.0.0.5:８０"}, "servers.0.address", "between 1 and 65535"),
    "half an address": ({"servers.0.address": "10.0.0"}, "servers.0.address", "neither an IP address nor a hostname"),
    "an odd address": ({"servers.0.address": "0x7f.1"}, "servers.0.address", "neither an IP address nor a hostname"),
    "a socket": ({"servers.0.address": "/run/haproxy/admin.sock"}, "servers.0.address", "only the address and port"),
    "a prefix of HAProxy's": ({"servers.0.address": "unix@/run/x"}, "servers.0.address", "only the address and port"),
    "cloud credentials": ({"servers.0.address": "169.254.169.254"}, "servers.0.address", "can’t be a server"),
    "the same, hidden": ({"servers.0.address": "[::ffff:169.254.169.254]"}, "servers.0.address", "can’t be a server"),
    "no address": ({"servers.0.address": ""}, "servers", "Add a server, or redirect all requests"),
    "another scheme": ({"servers.0.address": "ftp://10.0.0.5"}, "servers.0.scheme", "http or https"),
    "a name that does not resolve": (
        {"servers.0.address": "nowhere.invalid:80"}, "servers.0.address", "could not resolve address 'nowhere.invalid'",
    ),
    "a weight too high": ({"servers.0.weight": "257"}, "servers.0.weight", "At most 256"),
    "no number": ({"health_check_interval": "soon"}, "health_check_interval", "Enter a whole number"),
    "a status that is none": ({"health_check_status": "200-999"}, "health_check_status", "for example 200-399"),
    "a path with a quote": ({"health_check_path": "/a'b"}, "health_check_path", "Start the path with /"),
    "a path with a line break": ({"health_check_path": "/a\nhttp-request deny"}, "health_check_path", "Start the path with /"),
    "a hostname with a space": ({"hostnames": "a b.example"}, "hostnames", "is not a hostname"),
    "a hostname with a quote": ({"hostnames": "a'b.example"}, "hostnames", "is not a hostname"),
    "a hostname with a hash": ({"hostnames": "a#b.example"}, "hostnames", "is not a hostname"),
    "a hostname with a percent": ({"hostnames": "a%b.example"}, "hostnames", "is not a hostname"),
    "a hostname with a port": ({"hostnames": "new.example:80"}, "hostnames", "without a port"),
    "an address for a hostname": ({"hostnames": "http://new.example/"}, "hostnames", "Enter only the hostname"),
    "a hidden character": ({"hostnames": "new\u202e.example"}, "hostnames", "U+202E"),
    "no hostname": ({"hostnames": " "}, "hostnames", "at least one hostname"),
    "a name that is taken": ({"hostnames": "SHOP.example."}, "hostnames", "A virtual host for shop.example already exists"),
    "a wildcard that is taken": ({"hostnames": "*.tenants.example"}, "hostnames", "is already used by shop.example"),
    "the twin of an international name": ({"hostnames": "xn--bcher-kva.example"}, "hostnames", "is already used by shop.example"),
    "the same name twice": ({"hostnames": "n.example\nN.example"}, "hostnames", "is listed twice"),
    "64 KB of hostname": ({"hostnames": LONG + ".example"}, "hostnames", "is not a hostname"),
    "64 KB of name": ({"name": LONG}, "name", "At most 100 characters; this has 65,536"),
    "64 KB of notes": ({"notes": LONG}, "notes", "At most 10,000 characters; this has 65,536"),
    "a name with a quote": ({"name": 'a"b'}, "name", "but not \""),
    "a name with a hash": ({"name": "a#b"}, "name", "but not #"),
    "a name with a percent": ({"name": "a%b"}, "name", "but not %"),
    "a name with a line break": ({"name": "a\nb"}, "name", "U+000A"),
    "a name from right to left": ({"name": "a\u202eb"}, "name", "U+202E (right-to-left override)"),
    "a control character": ({"notes": "a\x07b"}, "notes", "U+0007"),
    "no such policy": ({"policy_id": "99"}, "policy_id", "Policy not found"),
    "a policy that is no number": ({"policy_id": "x'"}, "policy_id", "Enter a whole number"),
    "a certificate that is none": ({"tls_ca": "nonsense"}, "tls_ca", "Paste a PEM certificate"),
    "no authority": ({"tls_verify": "ca"}, "tls_ca", "Paste a CA certificate"),
}  # fmt: skip

REFUSED_POLICIES = {
    "a paranoia level of 5": ({"blocking_paranoia_level": "5"}, "blocking_paranoia_level", "At most 4"),
    "detection below blocking": (
        {"blocking_paranoia_level": "3", "detection_paranoia_level": "2"}, "detection_paranoia_level", "must be at least the blocking level",
    ),
    "a threshold of 0": ({"inbound_anomaly_threshold": "0"}, "inbound_anomaly_threshold", "At least 1"),
    "a limit too large": ({"body_limit_kib": "4097"}, "body_limit_kib", "At most 4,096"),
    "a mode that is none": ({"enforcement_mode": "maybe"}, "enforcement_mode", "Choose one of"),
    "a method that is none": ({"allowed_methods": "GET\nFOO BAR"}, "allowed_methods", "is not an HTTP method"),
    "no method": ({"allowed_methods": ""}, "allowed_methods", "Enter at least 1"),
    "a content type that is none": ({"allowed_content_types": "json'"}, "allowed_content_types", "is not a content type"),
    "a macro": ({"allowed_content_types": "a/%{REQUEST_METHOD}"}, "allowed_content_types", "is not a content type"),
    "everything skipped": ({"skip_paths": "/"}, "skip_paths", "path prefix such as"),
    "a way up": ({"skip_paths": "/a/../b"}, "skip_paths", "path prefix such as"),
    "a name that is taken": ({"name": "default"}, "name", "A policy named Default already exists"),
    "a name with a quote": ({"name": "a'b"}, "name", "but not '"),
    "a name with a line break": ({"name": "a\nSecRuleEngine Off"}, "name", "U+000A"),
}  # fmt: skip


def refused(page: Page, field: str, words: str) -> None:
    assert page.status == (409 if "already" in words else 422), page.text
    assert words in page.errors.get(field, ""), page.errors
    assert "Nothing was saved" in page.text


def kept(page: Page, typed: dict[str, object]) -> None:
    """Everything that was typed into a text field is still there, to the letter."""
    for name in (
        "hostnames",
        "name",
        "servers.0.address",
        "notes",
        "health_check_path",
        "allowed_methods",
        "body_limit_kib",
    ):
        if name in typed and name in page.values:
            assert "\n".join(page.values[name]).lstrip("\n").replace("\r\n", "\n") == str(typed[name]).replace(
                "\r\n", "\n"
            )


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("case", REFUSED_HOSTS)
def test_a_virtual_host_is_refused_at_its_field(ada: Person, origin: int, case: str) -> None:
    change, field, words = REFUSED_HOSTS[case]
    typed = {**a_host(origin, hostnames="new.example"), **change}

    page = ada.post("/virtual-hosts", typed)

    refused(page, field, words)
    kept(page, typed)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("case", REFUSED_POLICIES)
def test_a_policy_is_refused_at_its_field(ada: Person, case: str) -> None:
    change, field, words = REFUSED_POLICIES[case]
    typed = {**a_policy(), **change}

    page = ada.post("/policies", typed)

    refused(page, field, words)
    kept(page, typed)


@pytest.mark.usefixtures("unchanged")
def test_a_form_that_is_behind_keeps_what_was_typed_and_asks_which_value_to_take(ada: Person, origin: int) -> None:
    page = ada.post("/virtual-hosts/1", a_host(origin, hostnames="mine.example", version="99"))

    assert page.status == 412
    assert page.values["hostnames"][0].strip() == "mine.example"
    assert page.values["version"] == ["1"]
    assert page.values["take.hostnames"] == ["mine"]


@pytest.mark.usefixtures("unchanged")
def test_a_viewer_may_look_but_not_change(panel: Panel, origin: int) -> None:
    with Person(panel, "vera@example.org") as vera:
        assert vera.get("/virtual-hosts/1").status == 200
        assert "Edit" not in vera.get("/virtual-hosts/1").text
        for path in (
            "/virtual-hosts",
            "/virtual-hosts/1",
            "/virtual-hosts/1/delete",
            "/policies",
            "/policies/1",
            "/policies/1/delete",
        ):
            assert vera.post(path, a_host(origin)).status == 403


@pytest.mark.usefixtures("unchanged")
def test_what_is_in_use_says_by_whom_and_offers_the_way(ada: Person) -> None:
    page = ada.post("/policies/1/delete", {"version": "1"})

    assert page.status == 409
    assert "shop.example" in page.text
    assert 'href="/virtual-hosts?policy=1"' in page.html


@pytest.mark.usefixtures("unchanged")
def test_another_site_cannot_send_a_form(ada: Person, origin: int) -> None:
    for headers in (
        {"origin": "http://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        answer = ada.client.post("/virtual-hosts", data=a_host(origin, hostnames="evil.example"), headers=headers)
        assert answer.status_code == 403


@pytest.mark.usefixtures("unchanged")
def test_markup_that_was_typed_is_shown_inert(ada: Person, origin: int) -> None:
    for text in ("<script>alert(1)</script>", '"><svg onload=alert(1)>', "</textarea><script>x</script>", "{{7*7}}"):
        page = ada.post("/virtual-hosts", a_host(origin, hostnames=text, name=text, notes="\x00" + text))
        assert page.status == 422
        assert "<script>alert" not in page.html
        assert "<svg onload" not in page.html
        assert "49" not in page.errors.get("name", "")


@pytest.mark.usefixtures("unchanged")
def test_rows_can_be_added_and_removed_without_javascript(ada: Person, origin: int) -> None:
    typed = a_host(origin, hostnames="rows.example")

    two = ada.post("/virtual-hosts", {**typed, "add_row": "servers"})
    answer = ada.post("/virtual-hosts", {**typed, "servers.1.address": "10.0.0.9:80", "remove_row": "servers-0"})

    assert (two.status, answer.status) == (200, 200)
    assert "servers.1.address" in two.values
    assert answer.values["servers.0.address"] == ["10.0.0.9:80"]
    assert two.values["hostnames"][0].strip() == "rows.example"
