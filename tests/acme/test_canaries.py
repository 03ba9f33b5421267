"""No secret is anywhere but where it is sealed: keys of accounts, orders and certificates, the master key, external accounts, TSIG
keys, tokens of DNS services, and passwords. Searched: every file of the installation, every page, JSON, errors, logs, the command line of
every process, and a backup without passphrase."""

import base64
import gzip
import html
import io
import json
import logging
import re
import stat
import subprocess
import tarfile
from collections import Counter, deque
from pathlib import Path
from typing import Any

import pytest
import zstandard
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from guardpanel.acme.client import Binding
from guardpanel.acme.faults import AuthorityFault, FaultKind
from guardpanel.acme.hook import Hook
from guardpanel.acme.order import Record
from guardpanel.certificates import contents
from guardpanel.engines.shared_folders import SHARED
from guardpanel.panel import Panel
from guardpanel.services.issuing import orders
from guardpanel.services.issuing.accounts import bind, key_of
from guardpanel.services.issuing.proofs import dns_server, setup_problems
from tests.acme.authority import SECRET
from tests.acme.encodings import encodings_of
from tests.acme.worker import FIRST, Worker, refusal
from tests.certificates.made import full_chain, leaf
from tests.conftest import Person
from tests.panel import ROOT

pytestmark = pytest.mark.anyio

MOST_OF_A_KIND = 4
"Pages that differ in a number or their query."

EAB, PASSWORD, TOKEN = "Y2FuYXJ5IG9mIGFuIGV4dGVybmFsIGFjY291bnQ", "canary-passphrase", "canary-token-of-a-service"

OWNERS = {"secret.key", "default-certificate.pem"}
"Files that are there to hold a key, besides those that releases share: HAProxy reads them."


def forms_of(pem: bytes) -> set[bytes]:
    """A private key in every form in which it could leak."""
    key: Any = serialization.load_pem_private_key(pem, None)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    number = key.private_numbers().private_value.to_bytes(32)
    lines = {line for line in pem.splitlines() if len(line) == 64}
    return {
        *lines,
        der,
        number,
        number.hex().encode(),
        base64.b64encode(number)[:40],
        base64.urlsafe_b64encode(number)[:40],
    }


async def secrets_of(panel: Panel) -> dict[str, set[bytes]]:
    seal = panel.changes.seal
    async with panel.database.write() as session:
        account = (await key_of(session, seal)).pem
        order = next(row for row in await orders.open_orders(session) if row.sealed_key)
        issued = [await contents.current(session, number) for number in (1, 2)]
    return {
        "account key": forms_of(account),
        "order key": forms_of(seal.open(order.sealed_key or b"", order.place)),
        "certificate keys": {
            form for content in issued if content for form in forms_of(contents.key_of(content, seal))
        },
        "master key": {seal.key, seal.key.hex().encode(), base64.b64encode(seal.key)},
        "external account": {EAB.encode(), base64.urlsafe_b64decode(EAB + "=")},
        "TSIG key": {SECRET.encode(), base64.b64decode(SECRET)},
        "token": {text.encode() for text in encodings_of(TOKEN).values()},
        "passwords": {text.encode() for text in encodings_of(PASSWORD).values()},
    }


@pytest.fixture
def files(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Secrets that an operator has beside the panel."""
    (tmp_path / "tsig.key").write_text(f'key "panel" {{ algorithm hmac-sha256; secret "{SECRET}"; }};')
    (tmp_path / "lexicon.yml").write_text(f"auth_token: {TOKEN}\n")
    said = "\n".join(["the zone is locked", *encodings_of(TOKEN).values()])
    (tmp_path / "hook").write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\nexit 1\n")
    (tmp_path / "hook").chmod(0o755)
    monkeypatch.setenv("LEXICON_CLOUDFLARE_AUTH_TOKEN", TOKEN)
    dns = {"dns_server": "127.0.0.1:1", "dns_key_file": str(tmp_path / "tsig.key")}
    settings = panel.settings.model_copy(update=dns)
    assert dns_server(settings).key is not None and not setup_problems(settings)
    for name, value in dns.items():
        monkeypatch.setattr(panel.settings, name, value)
    return tmp_path


async def everything_happens(panel: Panel, ada: Person, ada_api: Person, files: Path) -> list[bytes]:
    """A certificate is issued, another uploaded, an order fails, one stays open, forms are rejected. Returns the answers."""
    worker = Worker(panel)
    issued = await worker.add()
    await worker.look()
    assert await worker.content(issued)
    good = {"name": "Up", "source": "upload", "certificate": full_chain("up.example"), "key_type": "ecdsa"}
    locked = {"private_key": leaf("up.example").encoded_key(PASSWORD), "password": PASSWORD}
    answers = [await ada_api.post("/api/v1/certificates", json={**good, **locked})]
    assert answers[0].status_code == 201, answers[0].text
    account = {"eab_key_id": "kid-1", "eab_key": EAB}
    acme = {"source": "acme", "names": "o.example", "authority": FIRST, "challenge": "http-01", "key_type": "ecdsa"}
    answers += [
        await ada.post("/certificates", data=good | locked | {"name": "", "password": f"{PASSWORD}x"}),
        await ada_api.post("/api/v1/certificates", json=good | locked | {"password": f"{PASSWORD}x"}),
        await ada.post("/certificates", data=acme | account | {"name": "", "authority": "nobody"}),
        await ada.post("/certificates", data=acme | account | {"name": "Open"}),
    ]
    assert [answer.status_code for answer in answers] == [201, 422, 422, 422, 303]
    async with panel.database.write() as session:
        await bind(session, panel.changes.seal, "https://second.test/dir", Binding("kid-1", EAB))
    failing = await worker.add("failing.example", name="Failing")
    worker.at().fail("new_order", refusal(FaultKind.REJECTED))
    worker.at().fail("order", ZeroDivisionError("of a step"))
    await worker.look()
    assert (await worker.log(failing)).steps
    by_hook = await worker.add("hooked.example", name="Hooked")
    with pytest.raises(AuthorityFault) as refused:
        Hook([str(files / "hook")]).add([Record("_acme-challenge.hooked.example", "value")])
    worker.at().fail("order", refused.value)
    await worker.look()
    assert (await worker.log(by_hook)).steps[-1].detail == refused.value.fault.detail
    return [answer.content for answer in answers]


async def pages(ada: Person, ada_api: Person) -> dict[str, bytes]:
    """Every page that a link leads to, from the first one on, and every list in JSON with its first rows."""
    answers: dict[str, bytes] = {}
    waiting, kinds = (
        deque(["/", "/metrics", "/readyz", "/system/backup", "/search?q=o", "/certificates"]),
        Counter[str](),
    )
    while waiting:
        path = waiting.popleft()
        kinds[kind := re.sub(r"[0-9]+", "1", path.split("?")[0])] += 1
        if path in answers or kinds[kind] > MOST_OF_A_KIND or path.startswith(("/static", "/api", "/logout")):
            continue
        answers[path] = (await ada.get(path)).content
        waiting += [
            html.unescape(link) for link in re.findall(r'href="(/[^"#]*)"', answers[path].decode("utf-8", "replace"))
        ]
    for path, operations in json.loads((ROOT / "openapi.json").read_text())["paths"].items():
        if "get" not in operations or has_no_end(operations["get"]):
            continue
        for number in (1, 3) if "{" in path else [1]:
            url = re.sub(r"\{[^}]*\}", str(number), path)
            answers[url] = (await ada_api.get(url)).content
    return answers


def has_no_end(operation: dict[str, Any]) -> bool:
    """A stream: of what is in lists, too."""
    return "text/event-stream" in operation["responses"]["200"].get("content", {})


def inside(data: bytes) -> bytes:
    """The files of a backup."""
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
        archive = reader.read() if data[:4] == b"\x28\xb5\x2f\xfd" else data
    archive = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else archive
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        members = {member.name: files.extractfile(member) for member in files.getmembers()}
        assert any(name.endswith(".db") for name in members), members
        return b"".join(file.read() for file in members.values() if file)


def stored(panel: Panel) -> dict[str, bytes]:
    """Every file of the installation, those that hold a key left out: their modes are asserted."""
    files = {}
    for path in panel.settings.data_dir.rglob("*"):
        if not path.is_file():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.name in OWNERS or path.parent.parent.name == SHARED:
            assert mode == 0o600, (path, oct(mode))
            assert path.parent.parent.name != SHARED or stat.S_IMODE(path.parent.stat().st_mode) == 0o700, path
        else:
            files[str(path)] = path.read_bytes()
    return files


@pytest.fixture
def command_lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of every process that is started, as others see it in the process list."""
    lines: list[str] = []
    start = subprocess.Popen.__init__

    def noted(process: subprocess.Popen[Any], command: Any, *others: Any, **named: Any) -> None:
        lines.append(command if isinstance(command, str) else " ".join(map(str, command)))
        start(process, command, *others, **named)

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    return lines


async def test_no_secret_is_anywhere_but_where_it_is_sealed(
    panel: Panel,
    ada: Person,
    ada_api: Person,
    files: Path,
    caplog: pytest.LogCaptureFixture,
    command_lines: list[str],
) -> None:
    caplog.set_level(logging.DEBUG, "guardpanel")
    answers = await everything_happens(panel, ada, ada_api, files)
    secrets = await secrets_of(panel)
    visited = await pages(ada, ada_api)
    assert (
        len(visited) > 80 and b"Failing" in visited["/certificates"] and b"Failing" in visited["/api/v1/certificates"]
    )
    assert b"guardpanel_" in visited["/metrics"] and "of a step" in caplog.text
    assert any(b"The DNS hook failed: add ended with 1." in page for page in visited.values())
    backup = io.BytesIO()
    await panel.backups.write(backup, "")
    assert any("_acme-challenge" in line for line in command_lines)
    looked_at = {
        "answers": b"".join(answers),
        "log": caplog.text.encode(),
        "command lines": "\n".join(command_lines).encode(),
        "backup": inside(backup.getvalue()),
        "objects": repr([Binding("kid-1", EAB), dns_server(panel.settings)]).encode(),
        **visited,
        **stored(panel),
    }

    assert b"SQLite format 3" in looked_at["backup"]
    leaks = {
        f"{kind} in {place}"
        for kind, needles in secrets.items()
        for place, data in looked_at.items()
        if any(needle in data for needle in needles)
    }
    assert not leaks
    for needles in secrets.values():
        assert needles, "what is searched for"
    assert stat.S_IMODE(panel.settings.secret_key.stat().st_mode) == 0o600
    assert (panel.settings.data_dir / "secret.key").read_bytes() in secrets["master key"]
