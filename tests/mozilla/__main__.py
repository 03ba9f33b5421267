"""`make sslyze`: whether each TLS profile is Mozilla's of that name, in sslyze's judgment, on each HAProxy."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from guardpanel.bundle import Bundle
from guardpanel.certificates import making
from guardpanel.certificates.reading import Parsed
from guardpanel.certificates.served import ServedCertificate, ServedCertificates
from guardpanel.models.certificates.certificate import KeyType, Source
from guardpanel.rendering import Rows
from tests.haproxies import VERSIONS, haproxy_binary
from tests.live.origins import origin
from tests.live.stack import ROOT, Stack
from tests.rows import rows

SSLYZE = ROOT / ".tools" / "sslyze" / "bin" / "sslyze"

KEYS = {"intermediate": (KeyType.ECDSA, KeyType.RSA), "modern": (KeyType.ECDSA,)}
"Modern is for ECDSA alone."

CASES = [(profile, key) for profile, keys in KEYS.items() for key in keys]

COMPLIANT = "OK - Compliant"


def host(profile: str, key: KeyType) -> str:
    return f"{profile}-{key}.test"


class Certified(Stack):
    """Each virtual host has a certificate of its own, of the local authority."""

    authority = making.authority(datetime.now(UTC) - making.AUTHORITY_LIFETIME + timedelta(days=60))
    "It ends soon, and with it what it signs: Mozilla also limits how long a certificate is valid."

    def publish(self, rows: Rows) -> Bundle:
        now = datetime.now(UTC)
        certificates = [
            self.served(number, making.by_authority([host(*case)], case[1], self.authority, now))
            for number, case in enumerate(CASES, 1)
        ]
        self.facts = replace(self.facts, certificates=ServedCertificates(tuple(certificates), now))
        return super().publish(rows)

    def served(self, number: int, made: Parsed) -> ServedCertificate:
        pem = made.chain_pem.encode() + made.key_pem
        begins, ends = made.leaf.not_valid_before_utc, made.leaf.not_valid_after_utc
        return ServedCertificate(number, Source.LOCAL_CA, made.names, begins, ends, pem)


def main() -> None:
    failed = []
    for version in VERSIONS:
        with origin() as server:
            common = {"servers": [{"address": server.address}], "health_check": False, "https": True}
            hosts = {host(profile, key): {**common, "tls_profile": profile} for profile, key in CASES}
            with Certified(haproxy_binary(version), rows({}, hosts)) as stack:
                (stack.folder / "root.pem").write_text(stack.authority.chain_pem)
                failed += [
                    f"{version} {profile} {key}" for profile, key in CASES if not passes(stack, version, profile, key)
                ]
    sys.exit(f"not compliant: {', '.join(failed)}" if failed else 0)


def passes(stack: Stack, version: str, profile: str, key: KeyType) -> bool:
    """Also says so."""
    output = judged(stack.folder / "root.pem", stack.tls_address[1], profile, host(profile, key))
    is_compliant = COMPLIANT in output
    sys.stdout.write(
        f"HAProxy {version}, {profile}, {key}: {'compliant' if is_compliant else output[output.index('COMPLIANCE') :]}\n"
    )
    sys.stdout.flush()
    return is_compliant


def judged(authority: Path, port: int, profile: str, name: str) -> str:
    command = [
        str(SSLYZE), f"--mozilla_config={profile}", f"--certinfo_ca_file={authority}", f"--sni={name}", f"127.0.0.1:{port}",
    ]  # fmt: skip
    output: str = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False).stdout
    return output


if __name__ == "__main__":
    main()
