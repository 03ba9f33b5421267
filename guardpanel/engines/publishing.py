"""Has HAProxy run a release: by a reload, or, if only contents of certificates, entries of address lists, how requests are
judged, or what HAProxy takes of servers at run time differ, by a swap in the running process."""

import asyncio
import logging
from collections.abc import Collection, Mapping

from guardpanel.bundle import AGENT, BINDINGS, KINDS, SERVERS, WITHOUT_KEYS, Bundle
from guardpanel.engines.files import content_of
from guardpanel.engines.haproxy.reloading import Reloader
from guardpanel.engines.protocol import Tell
from guardpanel.engines.releases import Release, Releases
from guardpanel.engines.runtime import map_replacing
from guardpanel.engines.runtime.map_swapping import MapSwapper
from guardpanel.engines.runtime.server_swapping import ServerSwapper
from guardpanel.engines.runtime.swapping import NotSwapped, Swapper
from guardpanel.engines.servers.server_sync import ServerSync
from guardpanel.engines.verify import Verifier
from guardpanel.errors import EngineUnavailable

log = logging.getLogger(__name__)


class Publisher:
    def __init__(self, releases: Releases, reloader: Reloader, telling: ServerSync, verifier: Verifier) -> None:
        self.releases, self.reloader, self.telling, self.verifier = releases, reloader, telling, verifier
        self.swapper = Swapper(reloader.cli, verifier)
        self.maps = MapSwapper(reloader.cli)
        self.servers = ServerSwapper(reloader.cli)

    async def publish(self, release: Release, bundle: Bundle, tell: Tell, *, again: bool) -> bool:
        """Have HAProxy run it, and prove its new certificates. `again`: by a reload in any case, and prove all of them. Returns
        whether HAProxy still runs what it ran, with the same listeners."""
        differing = asyncio.to_thread(self.releases.differing, release.number)
        if again:
            (keys, before), is_loaded = await differing, False
        else:
            (keys, before), has_loaded = await asyncio.gather(differing, self.reloader.has_loaded(bundle.checksum))
            is_loaded = has_loaded and bool(keys or before) and is_at_one_moment(keys, before)
        tell("swap" if is_loaded else "reload")
        if is_loaded and await self._swap(release, bundle, keys, before, tell):
            return True
        await asyncio.to_thread(self.releases.must_be_whole, release)
        await self._load(release, bundle, bundle.secrets if again else keys, again=again or bool(keys or before))
        return False

    async def _swap(
        self, release: Release, bundle: Bundle, keys: Collection[str], data_before: Mapping[str, bytes], tell: Tell
    ) -> bool:
        """The files are current before HAProxy gets the first of what changed: one that starts meanwhile loads them. Returns
        whether it worked."""
        await asyncio.to_thread(self.releases.publish, release)
        try:
            for file, before in data_before.items():
                await self._swap_data(file, before, bundle)
            if keys:
                await self.swapper.swap(bundle, keys)
        except (NotSwapped, EngineUnavailable) as failed:
            log.warning("reloading HAProxy, since a swap failed: %s", failed.message)
            tell("reload", failed.message)
            return False
        return True

    async def _swap_data(self, file: str, before: bytes, bundle: Bundle) -> None:
        if file == SERVERS:
            await self.servers.swap(before, bundle.data[file])
        elif file == BINDINGS:
            await map_replacing.replace(self.reloader.cli, file, bundle.files[file])
        elif file != AGENT:  # It has loaded its own before.
            await self.maps.swap(file, before, bundle.data[file])

    async def _load(self, release: Release, bundle: Bundle, keys: Collection[str], *, again: bool) -> None:
        """With what HAProxy's previous worker knew about servers. Every reload for a release goes through here. `keys`: the files
        of certificates that must be proven; `again`: even if HAProxy reports this configuration."""
        async with self.telling.handing_over(bundle.files["haproxy.cfg"].decode(), bundle.checksum):
            await asyncio.to_thread(self.releases.publish, release)
            await self.reloader.reload(bundle.checksum, again=again)
        await self.verifier.prove_certificates(bundle, keys)

    async def prove(self, release: Release, bundle: Bundle, changed: Collection[str], *, is_swapped: bool) -> None:
        """In the live processes, while the files that they were told to read are looked at again. Raises DeploymentFailed, when
        both have ended."""
        proof = self.verifier.prove(bundle, changed, over_tls=not is_swapped)
        whole = asyncio.to_thread(self.releases.must_be_whole, release, WITHOUT_KEYS if is_swapped else KINDS)
        for outcome in await asyncio.gather(proof, whole, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def put_back(self, release: Release, bundle: Bundle) -> None:
        """An earlier release, by a reload: which certificates and entries HAProxy has by now is unknown."""
        keys, data = await asyncio.to_thread(self.releases.differing, release.number)
        await self._load(release, bundle, keys, again=bool(keys or data))
        await self.telling.leave_addresses(bundle.files["haproxy.cfg"].decode())

    async def load_again(self, release: Release) -> None:
        """The current release, as it is on disk."""
        configuration = content_of(release.path / "haproxy.cfg").decode()
        async with self.telling.handing_over(configuration, release.checksum):
            await self.reloader.reload(release.checksum, again=True)
        await self.telling.leave_addresses(configuration)
        await self.verifier.prove_listeners(release.checksum)


def is_at_one_moment(keys: Collection[str], data: Collection[str]) -> bool:
    """Whether no request can get half of a swap: a virtual host's new policy together with its old servers, for one."""
    return BINDINGS not in data or not (keys or {*data} - {BINDINGS, AGENT})
