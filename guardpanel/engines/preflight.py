"""Checks before `guardpanel up` starts anything, so that problems are reported on one line."""

import os
from datetime import UTC, datetime

from guardpanel.certificates.names import day
from guardpanel.engines.deployer import Deployer
from guardpanel.engines.haproxy.haproxy import NO_TLS, HAProxy
from guardpanel.engines.haproxy.ports import must_be_free, must_be_free_at_start, refusal
from guardpanel.engines.processes.proc import listener_of
from guardpanel.engines.processes.process import run
from guardpanel.engines.releases import Releases
from guardpanel.engines.tls import panel_certificate
from guardpanel.engines.tls.panel_tls import PanelTls
from guardpanel.engines.waf.coraza_spoa import describe_version
from guardpanel.errors import EngineUnavailable, Problem
from guardpanel.listen_addresses import host_and_port
from guardpanel.settings import Settings

ANOTHER_BUILD = (
    "Virtual hosts can’t have HTTPS. Set GUARDPANEL_HAPROXY_BIN to another one, or GUARDPANEL_HTTPS_BIND to nothing."
)


def refuse_busy_ports(settings: Settings, *, proxy: bool) -> None:
    """Raises EngineUnavailable if another process listens on the panel's port, or on HAProxy's while ours does not run yet."""
    must_be_free("GUARDPANEL_LISTEN", *host_and_port(settings.listen))
    if proxy and listener_of(settings.master_socket) is None:
        for host, port in settings.http_binds:
            must_be_free("GUARDPANEL_HTTP_BIND", host, port)
        must_be_free_at_start(Releases(settings.data_dir))


async def require_engines(settings: Settings) -> None:
    """Raises EngineUnavailable with instructions if HAProxy or the agent is missing or too old."""
    engines = Deployer(settings, "")
    await engines.haproxy.version()
    engines.agent.binary()


async def engines_found(settings: Settings) -> list[tuple[bool, str]]:
    """For each engine, whether it is usable, and its path with its version, or instructions."""
    engines = Deployer(settings, "")
    checks = []
    try:
        version = ".".join(map(str, await engines.haproxy.version()))
        checks.append((True, f"HAProxy {version}: {engines.haproxy.binary()}"))
        checks += await https(settings, engines.haproxy)
    except EngineUnavailable as error:
        checks.append((False, f"HAProxy: {error.message}"))
    try:
        binary = engines.agent.binary()
        result = await run([binary, "-version"])
        checks.append((result.code == 0, f"WAF agent: {binary} ({describe_version(result.output)})"))
    except EngineUnavailable as error:
        checks.append((False, f"WAF agent: {error.message}"))
    return checks


async def https(settings: Settings, haproxy: HAProxy) -> list[tuple[bool, str]]:
    """Whether virtual hosts can have HTTPS and HTTP/3 with this build. Empty if they shall not."""
    if not settings.https_binds:
        return []
    if not await haproxy.has_tls():
        return [(False, f"HTTPS: {NO_TLS} {ANOTHER_BUILD}")]
    no_http3 = await haproxy.no_http3()
    return [(True, f"HTTPS with HTTP/2. HTTP/3: {f'not available. {no_http3}' if no_http3 else 'available'}")]


async def panel_tls(settings: Settings) -> list[tuple[bool, str]]:
    """Whether the panel's own certificate can be used, and is. Empty if it serves HTTP."""
    if not settings.serves_tls:
        return []
    try:
        own = panel_certificate.current(settings)
        if own is None:
            return [(True, "panel’s certificate: self-signed, made at the next start")]
        tls = PanelTls(settings, own)
    except Problem as problem:
        return [(False, problem.message)]
    kind = "self-signed" if own.is_made_here else settings.listen_certificate_file
    words = f"panel’s certificate: {kind}, until {day(own.not_after)}, SHA-256 {own.fingerprint}"
    fault = tls.expiry(datetime.now(UTC))
    if not (fault or own.is_made_here) and refusal(*host_and_port(settings.listen)):
        fault = await tls.served_problem()
    return [(not fault, fault or words)]


def machine(settings: Settings) -> list[tuple[bool, str]]:
    """Whether the data directory can be written and the ports are free."""
    existing = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    writable = os.access(existing, os.W_OK | os.X_OK)
    words = f"data directory: {settings.data_dir}"
    checks = [(writable, words if writable else f"{words} is not writable. Change GUARDPANEL_DATA_DIR.")]
    if listener_of(settings.master_socket) is not None:
        return [*checks, (True, "guardpanel is running and uses these ports")]
    listen = [("GUARDPANEL_LISTEN", *host_and_port(settings.listen))]
    for name, host, port in [*listen, *(("GUARDPANEL_HTTP_BIND", *bind) for bind in settings.http_binds)]:
        try:
            must_be_free(name, host, port)
            checks.append((True, f"{name}: {host}:{port} is free"))
        except EngineUnavailable as error:
            checks.append((False, error.message))
    try:
        must_be_free_at_start(Releases(settings.data_dir))
    except EngineUnavailable as error:
        checks.append((False, error.message))
    return checks
