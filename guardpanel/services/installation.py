"""Facts that are determined once per installation, and its initial rows."""

import asyncio
import secrets
from dataclasses import replace

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.database import Database
from guardpanel.engines import DROPS_TRAILERS, HAProxy
from guardpanel.engines.processes import machine
from guardpanel.engines.runtime.outside_map import existing
from guardpanel.engines.tls import default_certificate
from guardpanel.engines.waf.coraza_spoa import agent_of, is_foreign
from guardpanel.errors import EngineUnavailable
from guardpanel.models import Installation, Policy
from guardpanel.rendering import EngineFacts
from guardpanel.services import policies
from guardpanel.services.saving.facts import DEFAULTS_MADE, MEMORY, PROBE_SECRET
from guardpanel.settings import Settings


async def engine_facts(database: Database, settings: Settings) -> EngineFacts:
    """What rendering needs to know about this installation. Creates its secret at the first start."""
    haproxy = HAProxy(settings.haproxy_bin)
    async with database.write() as session:
        secret = await _fact(session, PROBE_SECRET, secrets.token_hex(32))
        memory = await _memory(session, await asyncio.to_thread(machine.memory_mib))
    facts = EngineFacts(
        http_binds=settings.http_binds,
        https_binds=settings.https_binds,
        default_certificate=await asyncio.to_thread(default_certificate.kept, settings.default_certificate),
        probe_socket=str(settings.probe_socket),
        agent_socket=str(settings.agent_socket),
        system_ca=settings.system_ca,
        secret=secret,
        server_states=str(settings.server_states),
        tables_socket=str(settings.tables_socket),
        lua_folder=str(settings.run_dir),
        bans_map=str(await asyncio.to_thread(existing, settings.bans_map)),
        feeds_dir=str(settings.feeds_dir),
        geo_dir=str(settings.geo_dir),
        small_frames=is_foreign(agent_of(settings)),
        memory_mib=memory,
        open_files=machine.open_files(),
        proves_by_dns=settings.proves_by_dns,
    )
    return await _with_abilities(facts, haproxy)


async def asked_again(facts: EngineFacts, haproxy: HAProxy) -> EngineFacts:
    """With the current binary's features. Unchanged without a binary, or with a rejected one."""
    try:
        await haproxy.version()
    except EngineUnavailable:
        return facts
    return await _with_abilities(facts, haproxy)


async def make_defaults(session: AsyncSession, facts: EngineFacts) -> None:
    """The default policy, at the first start only: it may be deleted on purpose later."""
    if await session.get(Installation, DEFAULTS_MADE) is not None:
        return
    session.add(Installation(name=DEFAULTS_MADE, value="yes"))
    if not (await session.exec(select(func.count(col(Policy.id))))).one():
        session.add(Policy(name=policies.DEFAULT.name).replace(policies.fitting(policies.DEFAULT, facts)))


async def _with_abilities(facts: EngineFacts, haproxy: HAProxy) -> EngineFacts:
    return replace(
        facts,
        drops_trailers=await haproxy.knows(DROPS_TRAILERS),
        runs_lua=await haproxy.runs_lua(),
        has_tls=await haproxy.has_tls(),
        no_http3=await haproxy.no_http3(),
        holds_responses=await haproxy.holds_responses(),
        more_counters=await haproxy.has_more_counters(),
        moves_servers=await haproxy.moves_servers(),
    )


async def _memory(session: AsyncSession, measured: int) -> int:
    """The first value, until it changes by a tenth: a kernel update must not change HAProxy's configuration."""
    known = int(await _fact(session, MEMORY, str(measured)))
    if abs(measured - known) * 10 <= known:
        return known
    await session.merge(Installation(name=MEMORY, value=str(measured)))
    return measured


async def _fact(session: AsyncSession, name: str, new: str) -> str:
    row = await session.get(Installation, name)
    if row is None:
        row = Installation(name=name, value=new)
        session.add(row)
    return row.value
