"""A certificate is swapped in the running HAProxy, or loaded by a reload where the Runtime API cannot or does not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from ssl import TLSVersion

import pytest

from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.runtime import swapping
from guardpanel.engines.tls.handshakes import first_of
from guardpanel.errors import DeploymentFailed, RolledBack
from guardpanel.models.certificates.certificate import Certificate, CertificateFields, Source
from guardpanel.services import certificates, virtual_hosts
from guardpanel.services.https import earlier_certificates
from guardpanel.services.saving.changes import SaveResult
from tests.live.lies.truth import ADA, last
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.live.tls import context, handshake, leaf

pytestmark = pytest.mark.anyio

FILE = "certs/1.pem"


@pytest.fixture(scope="module")
async def swapped(haproxy: str) -> AsyncIterator[Installation]:
    """Two lines of the list have the certificate."""
    async with installation_of(haproxy) as installation:
        fields = CertificateFields(name="Shop", source=Source.SELF_SIGNED, names=["shop.example", "new.example"])
        await certificates.create(installation.changes, ADA, fields)
        await virtual_hosts.create(installation.changes, ADA, a_virtual_host(9, https=True))
        modern = a_virtual_host(9, https=True, hostnames=["new.example"], tls_profile="modern")
        await virtual_hosts.create(installation.changes, ADA, modern)
        yield installation


async def renewed(running: Installation) -> SaveResult[Certificate]:
    return await certificates.renew(running.changes, ADA, 1)


async def worker(running: Installation) -> int:
    return (await running.engines.cli.processes(patience=5)).workers[0]


def on_disk(running: Installation) -> bytes:
    return first_of((running.settings.data_dir / "current" / FILE).read_bytes())


async def served(running: Installation) -> set[bytes]:
    """By 20 new connections for each line."""
    names = ["shop.example", "new.example"] * 20
    place = running.settings.https_binds[0]
    return set(await asyncio.gather(*(asyncio.to_thread(leaf, place, name) for name in names)))


async def steps_of(running: Installation) -> dict[str, str | None]:
    return {str(step["name"]): step["error"] for step in (await last(running)).steps}  # type: ignore[misc]


async def test_a_renewed_certificate_is_swapped_without_a_reload(swapped: Installation) -> None:
    before, pid, place = on_disk(swapped), await worker(swapped), swapped.settings.https_binds[0]
    with handshake(place, "shop.example", context(TLSVersion.TLSv1_2)) as old:
        resumed = old.session

        saved = await renewed(swapped)

        assert saved.sentence.endswith(f"as revision {saved.revision}, swapped without a reload")
        assert await served(swapped) == {on_disk(swapped)} != {before}
        assert await worker(swapped) == pid
        old.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
        assert old.recv(12) == b"HTTP/1.1 503"
    with handshake(place, "shop.example", old.context, resumed) as again:
        assert again.version() == "TLSv1.2"
    assert list(await steps_of(swapped)) == ["render", "stage", "check", "record", "agent", "swap", "verify"]
    assert await swapped.look() == []

    async with swapped.changes.database.read() as session:
        earlier = await earlier_certificates.earlier(session, await certificates.find(session, 1))
    await earlier_certificates.use_again(swapped.changes, ADA, 1, earlier[0].id or 0)

    assert await served(swapped) == {on_disk(swapped)} == {before}
    assert (await worker(swapped), await swapped.look()) == (pid, [])


async def test_transactions_of_others_are_ended_and_never_committed(swapped: Installation) -> None:
    foreign, pid = swapped.settings.default_certificate.read_text(), await worker(swapped)
    for file in ("certs/default.pem", FILE):
        await swapped.engines.cli._ask(f"@1 set ssl cert {file} <<\n{foreign}\n")
        assert await swapped.engines.cli.open_certificate_transactions() == [file]

        await renewed(swapped)

        assert await swapped.engines.cli.open_certificate_transactions() == []
        assert (await served(swapped), await worker(swapped)) == ({on_disk(swapped)}, pid)
        assert "swap" in await steps_of(swapped)


def no_dot(cli: MasterCli, patch: pytest.MonkeyPatch) -> None:
    async def commit(file: str) -> str:
        return f"Committing {file}\nSuccess!\n\n"

    patch.setattr(cli, "commit_certificate", commit)


def one_place_less(cli: MasterCli, patch: pytest.MonkeyPatch) -> None:
    commit = cli.commit_certificate

    async def less(file: str) -> str:
        return (await commit(file)).replace(".\nSuccess", "\nSuccess")

    patch.setattr(cli, "commit_certificate", less)


def unused(cli: MasterCli, patch: pytest.MonkeyPatch) -> None:
    report = cli.certificate

    async def certificate(file: str) -> str:
        return (await report(file)).replace("Status: Used", "Status: Unused")

    patch.setattr(cli, "certificate", certificate)


def all_well(cli: MasterCli, patch: pytest.MonkeyPatch) -> None:
    """It reports every step as done, and commits nothing."""
    report = cli.certificate

    async def commit(file: str) -> str:
        return f"Committing {file}..\nSuccess!\n\n"

    async def certificate(file: str) -> str:
        text = await report(f"*{file.removeprefix('*')}")
        return text.replace("Status: Unused", "Status: Used").replace("Status: Uncommitted", "Status: Used")

    patch.setattr(cli, "commit_certificate", commit)
    patch.setattr(cli, "certificate", certificate)


def refused(cli: MasterCli, patch: pytest.MonkeyPatch) -> None:
    """HAProxy itself says no: this key belongs to another certificate."""
    stage = cli.stage_certificate

    async def other_key(file: str, pem: str) -> str:
        folder = cli.path.parents[1]
        key = (folder / "default-certificate.pem").read_text().partition("-----BEGIN PRIVATE KEY")
        return await stage(file, f"{pem.partition('-----BEGIN PRIVATE KEY')[0]}{key[1]}{key[2]}".strip())

    patch.setattr(cli, "stage_certificate", other_key)


def too_large(_cli: MasterCli, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(swapping, "RESERVE", 10**7)


LIES: dict[Callable[[MasterCli, pytest.MonkeyPatch], None], str] = {
    no_dot: "HAProxy reported success for certs/1.pem, but replaced it in 0 of 2 places.",
    one_place_less: "HAProxy reported success for certs/1.pem, but replaced it in 1 of 2 places.",
    unused: "HAProxy reported success for certs/1.pem, but does not use it.",
    all_well: "HAProxy reported success. A new connection for shop.example still gets another certificate.",
    refused: "inconsistencies between private key and certificate loaded",
    too_large: "certs/1.pem is larger than HAProxy’s buffer.",
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
async def test_what_cannot_be_swapped_is_reloaded(
    swapped: Installation, monkeypatch: pytest.MonkeyPatch, lie: Callable[[MasterCli, pytest.MonkeyPatch], None]
) -> None:
    pid = await worker(swapped)
    with monkeypatch.context() as patch:
        lie(swapped.engines.cli, patch)
        saved = await renewed(swapped)

    assert saved.sentence.endswith(f"as revision {saved.revision}")
    assert LIES[lie] in (await steps_of(swapped))["swap"]  # type: ignore[operator]
    assert await served(swapped) == {on_disk(swapped)}
    assert await worker(swapped) != pid
    assert await swapped.look() == []


async def test_what_can_neither_be_swapped_nor_reloaded_is_rolled_back(
    swapped: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, number = on_disk(swapped), swapped.engines.releases.current_number()
    reload, failed = swapped.engines.reloader.reload, list[Path]()

    async def fails(checksum: str, *, again: bool = False) -> None:
        if not failed:
            failed.append(swapped.engines.releases.link.readlink())
            raise DeploymentFailed("HAProxy failed to load the new configuration.", step="reload")
        await reload(checksum, again=again)

    with monkeypatch.context() as patch:
        unused(swapped.engines.cli, patch)
        patch.setattr(swapped.engines.reloader, "reload", fails)
        with pytest.raises(RolledBack, match="HAProxy failed to load the new configuration"):
            await renewed(swapped)

    assert failed[0].name != str(number)
    assert swapped.engines.releases.current_number() == number
    assert await served(swapped) == {before}
    assert await swapped.look() == []
    await renewed(swapped)
    assert await served(swapped) == {on_disk(swapped)} != {before}
