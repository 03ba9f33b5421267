"""What an operator saves: each noun's table, input type, words and pages. Whatever goes through all nouns asks here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import SQLModel

from guardpanel.models import Policy, Traffic, VirtualHost
from guardpanel.models.policy import PolicyFields
from guardpanel.models.traffic import TrafficFields
from guardpanel.models.virtual_host import VirtualHostColumns

Key = tuple[str, int]
"A noun and its id."


@dataclass(frozen=True)
class Noun:
    """`columns`: the input type, without what other tables hold. `only_name`: how the one row of a noun of one row is called."""

    key: str
    word: str
    table: type[SQLModel]
    columns: type[SQLModel]
    path: str
    children: tuple[str, ...] = ()
    "Tables whose rows are parts of it."
    only_name: str = ""
    known_as: str = ""
    "Words by which a noun of one row is found."

    @property
    def table_name(self) -> str:
        return str(self.table.__tablename__)

    def name(self, row: Mapping[str, Any]) -> str:
        return self.only_name or str(row["name"])

    def title(self, name: str) -> str:
        """`Policy Strict`"""
        return self.only_name or f"{self.word} {name}"

    def url(self, noun_id: int) -> str:
        return self.path if self.only_name else f"{self.path}/{noun_id}"


TRAFFIC_WORDS = (
    "traffic settings client ip address trusted proxies networks x-forwarded-for x-forwarded-proto cf-connecting-ip proxy "
    "protocol listener tls load balancer cdn"
)

NOUNS = {
    noun.key: noun
    for noun in (
        Noun(
            "traffic",
            "Settings",
            Traffic,
            TrafficFields,
            "/system/traffic",
            only_name="Traffic settings",
            known_as=TRAFFIC_WORDS,
        ),
        Noun("policy", "Policy", Policy, PolicyFields, "/policies"),
        Noun("virtual_host", "Virtual host", VirtualHost, VirtualHostColumns, "/virtual-hosts", ("hostname", "server")),
    )
}
"In the order in which they are shown."


def url_of(noun: str, noun_id: int) -> str:
    return NOUNS[noun].url(noun_id)
