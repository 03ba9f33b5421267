"""DNS-01 by dns-lexicon's providers, against an API as PowerDNS has it; and settings of DNS-01 that are told before anything starts."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import dns.exception
import pytest
from typer.testing import CliRunner

from guardpanel.acme import hook, redaction
from guardpanel.acme.faults import AuthorityFault, FaultKind
from guardpanel.acme.hook import Hook
from guardpanel.acme.lexicon import Lexicon, problem_with
from guardpanel.acme.lexicon_hook import without_secrets
from guardpanel.acme.order import Record
from guardpanel.cli import main
from guardpanel.dns_settings import dns_host_and_port
from guardpanel.errors import Problem
from guardpanel.services.issuing.proofs import dns_server, setup_problems
from guardpanel.settings import Settings
from tests.acme.authority import Knot
from tests.acme.encodings import encodings_of
from tests.ports import free_port

TOKEN = "canary-token-of-the-provider"
ZONE = "shop.example.com"
RECORDS = [Record(f"_acme-challenge.{ZONE}", value) for value in ("first-value", "second-value")]


def command_lines() -> list[bytes]:
    settings = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            settings.append(path.read_bytes())
    return [line for line in settings if b"lexicon_hook" in line]


class Api(BaseHTTPRequestHandler):
    """The zone's TXT records, as PowerDNS' HTTP API has them."""

    rrsets: ClassVar[list[dict[str, Any]]]
    commands: ClassVar[list[bytes]]
    "Command lines of providers, while they ask."
    fails = 0

    def _answer(self, status: int, body: Any) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self) -> None:
        type(self).commands += command_lines()
        if self.fails or self.headers["X-API-Key"] != TOKEN:
            self._answer(self.fails or 403, {"error": f"the key {self.headers['X-API-Key']} may not do that"})
        else:
            self._answer(200, {"kind": "Native", "rrsets": self.rrsets})

    def do_PATCH(self) -> None:
        (sent,) = json.loads(self.rfile.read(int(self.headers["content-length"])))["rrsets"]
        type(self).rrsets = [rrset for rrset in self.rrsets if rrset["name"] != sent["name"]]
        if sent["changetype"] == "REPLACE" and sent["records"]:
            self.rrsets.append(sent)
        self._answer(204, None)

    def log_message(self, *_: object) -> None:
        pass

    @classmethod
    def texts(cls) -> set[str]:
        return {record["content"].strip('"') for rrset in cls.rrsets for record in rrset["records"]}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Api]]:
    class Fresh(Api):
        rrsets: ClassVar[list[dict[str, Any]]] = []
        commands: ClassVar[list[bytes]] = []

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Fresh)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("LEXICON_POWERDNS_PDNS_SERVER", f"http://127.0.0.1:{server.server_port}")
    yield Fresh
    server.shutdown()
    server.server_close()


def lexicon(file: str = "", place: tuple[str, int] = ("127.0.0.1", 1)) -> Lexicon:
    return Lexicon("powerdns", file, lambda _: ZONE, lambda *_: [place])


def fault(call: Any, *arguments: Any) -> Any:
    with pytest.raises(AuthorityFault) as refused:
        call(*arguments)
    assert refused.value.fault.kind is FaultKind.PROOF
    return refused.value.fault


def test_records_are_added_and_removed_by_the_providers_api(
    api: type[Api], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LEXICON_POWERDNS_AUTH_TOKEN", TOKEN)
    lexicon().add(RECORDS)
    assert api.texts() == {"first-value", "second-value"}
    monkeypatch.delenv("LEXICON_POWERDNS_AUTH_TOKEN")
    (tmp_path / "options.yml").write_text(f"auth_token: {TOKEN}\n")
    lexicon(str(tmp_path / "options.yml")).remove(RECORDS[:1])
    assert api.texts() == {"second-value"}
    assert any(b"first-value" in line for line in api.commands)
    assert not any(TOKEN.encode() in line for line in api.commands)


def test_what_a_provider_says_is_shown_without_its_credentials(
    api: type[Api], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEXICON_POWERDNS_AUTH_TOKEN", f"wrong-{TOKEN}")
    rejected = fault(lexicon().add, RECORDS)
    assert rejected.message == "The DNS provider powerdns failed: add ended with 1."
    assert "HTTP status 403. " in rejected.detail and "the key *** may not" in rejected.detail

    monkeypatch.setenv("LEXICON_POWERDNS_PDNS_SERVER", f"http://127.0.0.1:{free_port()}")
    gone = fault(lexicon().add, RECORDS)
    assert gone.detail == "The provider can’t be reached: the connection was refused."
    monkeypatch.delenv("LEXICON_POWERDNS_AUTH_TOKEN")
    assert "not defined" in fault(lexicon().add, RECORDS).detail
    assert TOKEN not in "".join([rejected.detail, gone.detail, *capfd.readouterr()])
    assert without_secrets("https://x/?key=se-cret-1&a=eu", {"a": "eu", "b": "se-cret-1"}) == "https://x/?key=***&a=eu"


@pytest.mark.parametrize("secret", [TOKEN, 'ca"n/ary-tö<k&en +1\\x\U0001f512', "-----BEGIN KEY-----\nMIGHAgEAMBMG\n"])
def test_a_secret_is_cut_out_however_it_is_written(secret: str) -> None:
    said = encodings_of(secret)
    cut = {way: redaction.without(f"before {text} after", [secret]) for way, text in said.items()}

    assert len(said) == 22
    for way, text in cut.items():
        assert text.startswith("before ") and text.endswith(" after") and redaction.MASK in text, way
        left = text.removeprefix("before ").removesuffix(" after").replace(redaction.MASK, "")
        assert len(left) <= 14 and not (len(secret) > 14 and secret[8:14] in left), (way, text)
    assert redaction.without("nothing of it", [secret, "of"]) == "nothing of it"


def test_what_a_hook_says_is_shown_without_what_it_has_from_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "hook"
    (tmp_path / "says").write_text("\n".join(["the zone is locked", *encodings_of(TOKEN).values(), "x" * 990 + TOKEN]))
    script.write_text(f"#!/bin/sh\ncat {tmp_path / 'says'}; echo $PROVIDER_API_KEY $1 $2 | tail -c 200; exit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("PROVIDER_API_KEY", TOKEN)
    monkeypatch.setattr(hook, "LONGEST_OUTPUT", 5_000)

    by_environment = fault(Hook([str(script), "--zone", "z"]).add, RECORDS).detail
    monkeypatch.setenv("PROVIDER_API_KEY", "other-secret")
    by_option = fault(Hook([str(script), "--token", TOKEN]).add, RECORDS).detail

    for detail in (by_environment, by_option):
        assert "the zone is locked" in detail
        assert not [way for way, text in encodings_of(TOKEN).items() if text in detail]
    assert by_environment.endswith("*** --zone z") and by_option.endswith("*** --token ***")


def test_records_count_once_the_zones_name_servers_have_them(knot: Knot) -> None:
    waiting = lexicon(place=("127.0.0.1", knot.port)).lagging([Record("_acme-challenge.x.acme.test", "value")])
    assert waiting == "127.0.0.1 does not return the TXT record of _acme-challenge.x.acme.test."
    nobody = Lexicon("powerdns", "", lambda _: ZONE, lambda *_: [("", 53)])
    assert nobody.lagging(RECORDS) == f"The name servers of {ZONE} can’t be looked up."

    def no_zone(_: str) -> str:
        raise dns.exception.Timeout

    assert fault(Lexicon("powerdns", "", no_zone).add, RECORDS).message.startswith("The zone of _acme-challenge.shop")
    assert problem_with("cloudflare") == "" and "no provider cloudflar." in problem_with("cloudflar")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"DNS_SERVER": "ns1 example"}, "GUARDPANEL_DNS_SERVER: 'ns1 example' is not address or address:port"),
        ({"DNS_SERVER": "192.0.2.1:0"}, "'192.0.2.1:0' is not address or address:port"),
        ({"DNS_SERVER": "192.0.2.1:dns"}, "is not address or address:port"),
        ({"DNS_SERVER": "192.0.2.1", "DNS_HOOK": "x"}, "GUARDPANEL_DNS_SERVER and GUARDPANEL_DNS_HOOK are both set."),
        ({"DNS_LEXICON": "ovh", "DNS_HOOK": "x"}, "GUARDPANEL_DNS_LEXICON and GUARDPANEL_DNS_HOOK are both set."),
        ({"DNS_KEY_FILE": "/x"}, "GUARDPANEL_DNS_KEY_FILE needs GUARDPANEL_DNS_SERVER. Set both"),
        ({"DNS_LEXICON_FILE": "/x"}, "GUARDPANEL_DNS_LEXICON_FILE needs GUARDPANEL_DNS_LEXICON. Set both"),
        ({"DNS_LEXICON": "../ovh"}, "GUARDPANEL_DNS_LEXICON: '../ovh' is not a provider’s name"),
        ({"DNS_HOOK": "'x"}, "GUARDPANEL_DNS_HOOK is not a command: no closing quotation"),
        ({"DNS_HOOK": " "}, "GUARDPANEL_DNS_HOOK is not a command: it is empty"),
    ],
)
def test_settings_that_cannot_be_are_told_before_anything_starts(
    variables: dict[str, str], words: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUARDPANEL_DATA_DIR", str(folder))
    for name, text in variables.items():
        monkeypatch.setenv(f"GUARDPANEL_{name}", text)
    for command in ("up", "doctor"):
        done = CliRunner().invoke(main, [command])
        assert done.exit_code == 2 and words in done.output, done.output


def test_a_dns_server_is_an_address_or_a_name() -> None:
    for text, place in {
        "192.0.2.1": ("192.0.2.1", 53), "192.0.2.1:5353": ("192.0.2.1", 5353), "[2001:db8::1]:5353": ("2001:db8::1", 5353),
        "2001:db8::1": ("2001:db8::1", 53), "ns1.example": ("ns1.example", 53), "ns1.example:54": ("ns1.example", 54),
    }.items():  # fmt: skip
        assert dns_host_and_port(text) == place


BLOCK = 'key "acme" {{ algorithm {algorithm}; secret "{secret}"; }};'


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("dns_key_file", None, "there is no such file."),
        ("dns_key_file", "nothing", "no key in it: expected what tsig-keygen writes."),
        (
            "dns_key_file",
            BLOCK.format(algorithm="hmac-md6", secret="c2VjcmV0"),
            "hmac-md6 is not supported. Use one of: ",
        ),
        ("dns_key_file", BLOCK.format(algorithm="hmac-sha256", secret="c2VjcmV"), "its name or secret is cut off"),
        ("dns_lexicon_file", "- a\n- b\n", "expected lines such as auth_token: …."),
        ("dns_lexicon_file", "a: [", "it is not YAML."),
        ("dns_lexicon_file", None, "there is no such file."),
        ("acme_ca_file", "nothing", "no certificate in it: expected PEM."),
        ("acme_ca_file", None, "there is no such file."),
    ],
)
def test_files_that_cannot_be_used_are_told_at_the_start_and_by_doctor_with_no_word_of_theirs(
    name: str, content: str | None, words: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "file"
    if content is not None:
        file.write_text(content)
    others = {"dns_key_file": {"dns_server": "192.0.2.1"}, "dns_lexicon_file": {"dns_lexicon": "cloudflare"}}
    settings = Settings(data_dir=folder, **{name: str(file)}, **others.get(name, {}))  # type: ignore[arg-type]

    (problem,) = setup_problems(settings)

    assert problem.startswith(f"GUARDPANEL_{name.upper()}: {file}: ") and words in problem
    assert "c2VjcmV" not in problem
    if name == "dns_key_file":
        with pytest.raises(Problem, match=re.escape(problem)):
            dns_server(settings)
    for variable, text in {name: str(file), "data_dir": str(folder), **others.get(name, {})}.items():
        monkeypatch.setenv(f"GUARDPANEL_{variable.upper()}", text)
    monkeypatch.setenv("GUARDPANEL_HAPROXY_BIN", "/nowhere")
    done = {command: CliRunner().invoke(main, [command]) for command in ("up", "doctor")}
    assert all(result.exit_code == 1 and problem in result.output for result in done.values()), done["up"].output
    assert "Certificates can’t be ordered with it." in done["up"].output
