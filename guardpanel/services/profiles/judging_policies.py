"""Which policies judge a virtual host's paths: an exclusion has an effect only in the one that its paths have."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self
from urllib.parse import quote

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import Policy, VirtualHost
from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.models.rules.rule_exclusion import RuleExclusionColumns
from guardpanel.rendering.bound_paths import BoundPaths, fold, with_slash
from guardpanel.services.policy_uses import Place, of_host


@dataclass(frozen=True)
class JudgingPolicies:
    """Of a virtual host and its path bindings."""

    places: Sequence[Place]
    by_id: Mapping[int, Policy]
    "The virtual host's first."

    @classmethod
    async def load(cls, session: AsyncSession, host: VirtualHost) -> Self:
        places = await of_host(session, host)
        numbers = list(dict.fromkeys(_policies(places)))
        rows = await session.exec(select(Policy).where(col(Policy.id).in_(numbers)))
        by_id = {policy.id or 0: policy for policy in rows.all()}
        return cls(places, {number: by_id[number] for number in numbers})

    def of(self, exclusion: RuleExclusionColumns, prefix: str) -> set[int]:
        """Those that judge some path of the exclusion. `prefix`: below which the application is."""
        match exclusion.path_match:
            case PathMatch.EXACT:
                return {*_policies([self._at(quote(exclusion.path))])}
            case PathMatch.AS_SENT:
                return {*_policies([self._at(exclusion.path)])}
            case PathMatch.BELOW:
                return {*_policies(self._below(exclusion.path))}
            case _:
                return {*_policies(self._below(prefix or "/"))}

    def _at(self, path: str) -> Place:
        return self._bound.at(path) or self.places[0]

    def _below(self, path: str) -> Iterator[Place]:
        yield self._at(quote(path))
        around = with_slash(fold(path))
        for place in self.places:
            if place.path and with_slash(fold(place.path.path)).startswith(around):
                yield place

    @cached_property
    def _bound(self) -> BoundPaths[Place]:
        return BoundPaths((place.path.path, place.path.path_match, place) for place in self.places if place.path)


def _policies(places: Iterable[Place]) -> Iterator[int]:
    return (place.policy_id for place in places if place.is_inspected and place.policy_id is not None)
