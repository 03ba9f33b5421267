"""Certificates that are replaced in the running HAProxy, without a reload: new content under a file name that it knows.

Each step of `set ssl cert` and `commit ssl cert` is checked, as HAProxy 2.6 to 3.4 were seen to do it. A transaction outlives the
connection that opened it, and 2.6 and 3.0 put what is then sent for one certificate into the other one's. A payload that does not
fit HAProxy's buffer ends 3.2.0. "Success!" alone proves nothing: each place that got the certificate adds a dot.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Mapping

from guardpanel.bundle import Bundle
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.proxy_lines import certificate_lines, quic_listeners, tls_listeners
from guardpanel.engines.tls.handshakes import first_of
from guardpanel.engines.verify import Verifier
from guardpanel.errors import Problem

MOST = 20
"Files in one save. A reload loads more of them in less time."

RESERVE = 1024
"Bytes of HAProxy's buffer for the command before the certificate."

BUFFER = re.compile(rb"^ +tune\.bufsize (\d+)$", re.MULTILINE)
BLOCK = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.+?-----END [A-Z0-9 ]+-----", re.DOTALL)
COMMITTED = re.compile(r"Committing (\S+?)(\.*)\s+Success!\s*")


class NotSwapped(Problem):
    """The certificates must be loaded by a reload, for this reason."""


class Swapper:
    def __init__(self, cli: MasterCli, verifier: Verifier) -> None:
        self.cli, self.verifier = cli, verifier

    async def swap(self, bundle: Bundle, files: Collection[str]) -> None:
        """Replace these files of the running configuration, which must be the bundle's, and prove it by handshakes. Raises
        NotSwapped, and EngineUnavailable."""
        places = _places(bundle.files)
        contents = {file: _payload(bundle.secrets[file]) for file in sorted(files) if places[file]}
        _must_fit(contents, bundle.files)
        await self._end_transactions()
        for file, content in contents.items():
            await self._swap(file, content, places[file])
        if wrong := await self.verifier.certificates(bundle, contents):
            raise NotSwapped(f"HAProxy reported success. {wrong}")

    async def _end_transactions(self) -> None:
        for file in await self.cli.open_certificate_transactions():
            answer = await self.cli.abort_certificate(file)
            if f"Transaction aborted for certificate '{file}'!" not in answer:
                raise NotSwapped(f"A transaction for {file} is open in HAProxy and could not be ended: {_line(answer)}")

    async def _swap(self, file: str, content: str, places: int) -> None:
        wanted = hashlib.sha1(first_of(content.encode()), usedforsecurity=False).hexdigest()
        answer = await self.cli.stage_certificate(file, content)
        if answer.strip() != f"Transaction created for certificate {file}!":
            raise NotSwapped(f"HAProxy did not accept {file}: {_line(answer)}")
        if not _has(await self.cli.certificate(f"*{file}"), wanted):
            raise NotSwapped(f"HAProxy has another certificate in its transaction for {file}.")
        answer = await self.cli.commit_certificate(file)
        committed = COMMITTED.fullmatch(answer)
        if committed is None or committed[1] != file:
            raise NotSwapped(f"HAProxy did not replace {file}: {_line(answer)}")
        if len(committed[2]) != places:
            raise NotSwapped(
                f"HAProxy reported success for {file}, but replaced it in {len(committed[2])} of {places} places."
            )
        now = await self.cli.certificate(file)
        if not _has(now, wanted) or "Status: Used" not in now.splitlines():
            raise NotSwapped(f"HAProxy reported success for {file}, but does not use it.")


def _places(files: Mapping[str, bytes]) -> Counter[str]:
    """How often HAProxy uses each file: once for each of its lines in the list, on each listener, those of HTTP/3 included."""
    listeners = len(tls_listeners(files)) + len(quic_listeners(files))
    return Counter(
        {file: lines * listeners for file, lines in Counter(file for file, _ in certificate_lines(files)).items()}
    )


def _payload(pem: bytes) -> str:
    """Certificates and key without blank lines, since the first one ends the payload, and without text around them."""
    blocks = BLOCK.findall(pem.decode("ascii", "ignore"))
    return "\n".join(line for block in blocks for line in block.splitlines() if line.strip())


def _must_fit(contents: Mapping[str, str], files: Mapping[str, bytes]) -> None:
    buffer = BUFFER.search(files["haproxy.cfg"])
    room = int(buffer[1]) - RESERVE if buffer else 0
    for file, content in contents.items():
        if len(content) > room:
            raise NotSwapped(f"{file} is larger than HAProxy’s buffer.")
    if len(contents) > MOST:
        raise NotSwapped(f"{len(contents):,} certificates changed: a reload loads them in less time.")


def _has(answer: str, fingerprint: str) -> bool:
    return f"SHA1 FingerPrint: {fingerprint.upper()}" in answer.splitlines()


def _line(answer: str) -> str:
    return " ".join(answer.split())[:300] or "no answer."
