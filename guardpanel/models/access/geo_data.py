"""Where the data about addresses (countries, networks) is downloaded from. There is a single row.

The data itself is no configuration: it is in files, as is what became of the last download (`services/access/geo_states.py`).
"""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator
from sqlalchemy import CheckConstraint
from sqlmodel import Field

from guardpanel.models.access.feed import INTERVALS, LONGEST_URL, FeedInterval, feed_url
from guardpanel.models.meta import described
from guardpanel.models.noun import Noun
from guardpanel.models.types import Fields, stored
from guardpanel.models.versioned_row import VersionedRow

GeoUrl = Annotated[str, AfterValidator(feed_url)]


class GeoDataFields(Fields):
    """What an operator sets: the input of the form and the JSON body, and the columns of the table."""

    country_url: GeoUrl = described(
        "Countries URL",
        "",
        max_length=LONGEST_URL,
        placeholder="https://data.example/country.mmdb.gz",
        hint="A .mmdb or .mmdb.gz file. Without one, upload a file.",
    )
    network_url: GeoUrl = described(
        "Networks URL",
        "",
        max_length=LONGEST_URL,
        placeholder="https://data.example/asn.mmdb.gz",
        hint="The same for the numbers of networks (ASN).",
    )
    every: FeedInterval = described("Download every", FeedInterval.DAY, sa_type=stored(FeedInterval))


class GeoData(GeoDataFields, VersionedRow, table=True):
    """The row."""

    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: int | None = Field(default=1, primary_key=True)

    def replace(self, fields: GeoDataFields) -> Self:
        for name in GeoDataFields.model_fields:
            setattr(self, name, getattr(fields, name))
        return self

    @property
    def interval(self) -> timedelta:
        return INTERVALS[self.every]


NOUN = Noun(
    "geo_data",
    "geo_data",
    "Country data",
    "Country data",
    GeoData,
    GeoDataFields,
    "/access/countries",
    "geo-data",
    "Where the countries and networks of addresses are downloaded from.",
    {"country_url": "https://data.example/country.mmdb.gz"},
    only_name="Country data",
    known_as="country data countries networks asn geoip mmdb maxmind db-ip ipinfo geolite download upload",
)
