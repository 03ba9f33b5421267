"""pebble, an authority of its own on loopback, and Knot DNS, which it asks; made by tools/install-acme.sh."""

import base64
import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

import dns.exception
import dns.message
import dns.query
import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from guardpanel.acme.dns_updates import DnsServer, TsigKey
from tests.ports import free_port

TOOLS = Path(__file__).resolve().parents[2] / ".tools" / "acme"
ZONE = "acme.test"

DEADLINE_SECONDS = 60
"Until a server that was started answers."

KEY_NAME, SECRET = "panel", base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OWN_KEY = TsigKey(KEY_NAME, SECRET)
EAB_KEY_ID, EAB_KEY = "kid-1", base64.urlsafe_b64encode(b"a key of an external account....").decode().rstrip("=")
PROFILES = {
    "default": {"description": "Ninety days", "validityPeriod": 7_776_000},
    "shortlived": {"description": "Six days", "validityPeriod": 518_400},
}


class Server:
    """A process of a test, in a folder of its own, ended by its own number."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gpacme"))
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self, *words: str, **environment: str) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                words, cwd=self.folder, stdout=log, stderr=log, env={**os.environ, **environment}
            )

    def must_run(self) -> None:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Knot(Server):
    """The name server of `acme.test`: every name there is at 127.0.0.1. `_acme-challenge.alias` is an alias."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        (self.folder / f"{ZONE}.zone").write_text(
            f"$ORIGIN {ZONE}.\n$TTL 1\n@ SOA ns hostmaster 1 60 60 600 1\n@ NS ns\n@ A 127.0.0.1\nns A 127.0.0.1\n"
            "* A 127.0.0.1\n_acme-challenge.alias CNAME elsewhere\n"
        )
        (self.folder / "knot.conf").write_text(f"""
server:
    listen: 127.0.0.1@{self.port}
    rundir: {self.folder}
    background-workers: 1
    udp-workers: 1
    tcp-workers: 1
database:
    storage: {self.folder}
key:
  - id: {KEY_NAME}
    algorithm: hmac-sha256
    secret: {SECRET}
acl:
  - id: update
    action: update
    key: {KEY_NAME}
    update-type: [TXT]
zone:
  - domain: {ZONE}
    storage: {self.folder}
    file: {ZONE}.zone
    acl: update
    zonefile-sync: -1
    journal-content: changes
    semantic-checks: off
""")
        self.begin(str(TOOLS / "knotd"), "-c", str(self.folder / "knot.conf"))
        ends = time.monotonic() + DEADLINE_SECONDS
        while self.texts(f"ns.{ZONE}") is None:
            self.must_run()
            assert time.monotonic() < ends, "Knot does not serve its zone"
            time.sleep(0.02)

    def server(self, port: int = 0, key: TsigKey | None = OWN_KEY) -> DnsServer:
        return DnsServer("127.0.0.1", port or self.port, key)

    def texts(self, name: str) -> set[str] | None:
        """The TXT records of a name. None while the server does not serve its zone."""
        try:
            answer = dns.query.udp(dns.message.make_query(f"{name}.", "TXT"), "127.0.0.1", 1, self.port)
        except (dns.exception.DNSException, OSError):
            return None
        if answer.rcode() not in {0, 3}:
            return None
        return {b"".join(data.strings).decode() for rrset in answer.answer for data in rrset}


class Pebble(Server):
    """`http_port`: where HTTP-01 is asked for. Names are looked up at `dns_port`."""

    def __init__(self, http_port: int, dns_port: int, *, settings: Mapping[str, Any] | None = None, **environment: str):
        super().__init__()
        self.port, self.management_port = free_port(), free_port()
        self.ca_file = self.folder / "ca.pem"
        _certificates(self.folder, self.ca_file)
        own = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management_port}",
            "certificate": "leaf.pem",
            "privateKey": "leaf.key",
            "httpPort": http_port,
            "tlsPort": free_port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "retryAfter": {"authz": 0, "order": 0},
            "keyAlgorithm": "ecdsa",
            "profiles": PROFILES,
            "caaIdentities": ["authority.test"],
            **(settings or {}),
        }
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": own}))
        self.environment = {
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": "0",
            # Always, since 0 is not never but one in a hundred: who expects a proof needs a name not proved before.
            "PEBBLE_AUTHZREUSE": "100",
            **environment,
        }
        self.dns_port = dns_port
        self.start()

    def start(self) -> None:
        """Also again: it has then forgotten everything."""
        words = ("-config", "pebble.json", "-dnsserver", f"127.0.0.1:{self.dns_port}")
        self.begin(str(TOOLS / "pebble"), *words, **self.environment)
        ends = time.monotonic() + DEADLINE_SECONDS
        while True:
            self.must_run()
            assert time.monotonic() < ends, "pebble does not listen"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    def management(self, path: str) -> str:
        answer = httpx2.get(f"https://127.0.0.1:{self.management_port}{path}", verify=_trust(self.ca_file), timeout=60)
        return answer.raise_for_status().text

    def suggest_renewal(self, pem: str, start: dt.datetime, end: dt.datetime) -> None:
        window = {"start": start.isoformat(), "end": end.isoformat()}
        response = {"suggestedWindow": window, "explanationURL": "https://authority.test/why"}
        httpx2.post(
            f"https://127.0.0.1:{self.management_port}/set-renewal-info/",
            json={"certificate": pem, "ariResponse": json.dumps(response)},
            verify=_trust(self.ca_file),
            timeout=60,
        ).raise_for_status()

    def orders(self) -> int:
        """How many were made."""
        return (self.folder / "log").read_text().count("Added order")


def _trust(ca_file: Path) -> Any:
    import ssl

    return ssl.create_default_context(cafile=str(ca_file))


def _certificates(folder: Path, ca_file: Path) -> None:
    """The authority's own TLS certificate, with a CA that only its clients trust."""
    now = dt.datetime.now(dt.UTC)
    ca_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the authority's own")])

    def certificate(key: ec.EllipticCurvePrivateKey, subject: x509.Name) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(ca_name, subject, key.public_key(), x509.random_serial_number())
        return builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=9))

    ca = certificate(ca_key, ca_name).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")])
    leaf = certificate(leaf_key, x509.Name([])).add_extension(names, critical=False)
    ca_file.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (folder / "leaf.pem").write_bytes(leaf.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (folder / "leaf.key").write_bytes(
        leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
