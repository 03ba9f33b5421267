"""From a certificate that is saved to a handshake that returns it: 10 orders by HTTP-01 and 10 by DNS-01, at pebble.

make bench-issue
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from bench.stack import find_haproxy
from guardpanel.acme.dns_updates import only_itself
from guardpanel.acme.preflight import Network
from guardpanel.certificates import contents
from guardpanel.engines.tls import handshakes
from guardpanel.models import Certificate
from guardpanel.models.certificates.certificate import CertificateFields
from guardpanel.services import virtual_hosts
from guardpanel.services.issuing import orders
from guardpanel.services.issuing.accounts import Accounts
from guardpanel.services.issuing.checks import Checks
from guardpanel.services.issuing.issuer import Issuer
from guardpanel.services.issuing.proofs import Proving
from guardpanel.services.saving.change import Change
from guardpanel.services.saving.changes import SaveRequest
from tests.acme.authority import KEY_NAME, SECRET, Knot, Pebble
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.load.zero_drop import percentile
from tests.ports import free_port

ORDERS = 10
"Of each challenge."

AS_LETS_ENCRYPT = {"retryAfter": {"authz": 3, "order": 5}}
"Seconds for which pebble has clients wait, and a twentieth of all nonces rejected: its own defaults, which are to be hard."


async def main() -> None:
    for words, settings, nonces in (("at once", {}, "0"), ("pebble's defaults", AS_LETS_ENCRYPT, "5")):
        port = free_port()
        with Knot() as knot, Pebble(port, knot.port, settings=settings, PEBBLE_WFE_NONCEREJECT=nonces) as pebble:
            seconds = sorted(
                [*await measured(port, knot, pebble, "http-01"), *await measured(port, knot, pebble, "dns-01")]
            )
            figures = " / ".join(f"{percentile(seconds, share):.1f}" for share in (0.5, 0.95, 1.0))
            print(f"{words}: {len(seconds)} orders, p50 / p95 / longest {figures} s", flush=True)


async def measured(port: int, knot: Knot, pebble: Pebble, challenge: str) -> list[float]:
    """Seconds of each order."""
    with tempfile.TemporaryDirectory() as folder:
        key_file = Path(folder) / "acme.key"
        key_file.write_text(f'key "{KEY_NAME}" {{ algorithm hmac-sha256; secret "{SECRET}"; }};\n')
        given = {
            "http_bind": f"127.0.0.1:{port}",
            "dns_server": f"127.0.0.1:{knot.port}",
            "dns_key_file": str(key_file),
        }
        async with installation_of(find_haproxy("2.8"), **given) as installation:
            names = [f"n{number}.acme.test" for number in range(ORDERS)]
            for name in names:
                host = a_virtual_host(1, hostnames=[name], https=True)
                await virtual_hosts.create(installation.changes, SaveRequest("ada"), host)
            issuer = worker(installation, pebble, port)
            issuer.follow()
            results = [await one_order(installation, pebble, name, challenge) for name in names]
            await installation.changes.background.close()
            return results


def worker(installation: Installation, pebble: Pebble, port: int) -> Issuer:
    changes, thumbprint_for = installation.changes, installation.changes.renderer.thumbprint_for
    accounts = Accounts(changes.database, changes.seal, str(pebble.ca_file))
    proving = Proving(installation.settings, installation.engines, thumbprint_for, only_itself)
    return Issuer(changes, Checks(accounts, proving, Network(loopback, lambda _: [], port)))


def loopback(_name: str) -> Sequence[str]:
    return ["127.0.0.1"]


async def one_order(installation: Installation, pebble: Pebble, name: str, challenge: str) -> float:
    """Seconds from the certificate's save, which is verified live, to a handshake that returns what was issued."""
    given: dict[str, Any] = {"name": name, "source": "acme", "names": [name], "authority": pebble.url}
    fields = CertificateFields.model_validate(given | {"profile": "default", "challenge": challenge})

    async def mutate(session: AsyncSession) -> int:
        row = Certificate().replace(fields)
        session.add(row)
        await session.flush()
        return row.id or 0

    saved = await installation.changes.save(Change(SaveRequest("ada"), "Added", "certificate"), mutate)
    began = time.perf_counter()
    place = installation.settings.https_binds[0]
    while True:
        async with installation.changes.database.read() as session:
            content = await contents.current(session, saved.value)
            steps = [step for log in await orders.logs(session, saved.value) for step in log.steps if step.is_bad]
        if content is not None and await handshakes.leaf(place, name) == handshakes.first_of(content.chain.encode()):
            for step in steps:
                print(f"{name}, tried again: {step.words} {step.detail}", flush=True)
            return time.perf_counter() - began
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main())
