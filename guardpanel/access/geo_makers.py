"""Who publishes data about addresses that costs nothing: where it is had, its license, and the credit that this asks for.

guardpanel comes with none of it: docs/access.md has the reasons.
"""

from typing import NamedTuple


class Maker(NamedTuple):
    name: str
    url: str
    license: str
    needs_account: bool
    begins: str = ""
    "How their files' own name of the database begins. Empty: no credit is asked for."
    credit: str = ""


MAKERS = (
    Maker("DB-IP Lite", "https://db-ip.com/db/lite.php", "CC BY 4.0", False, "DBIP-", "IP Geolocation by DB-IP"),
    Maker("ip-location-db", "https://github.com/sapics/ip-location-db", "PDDL", False),
    Maker(
        "GeoLite",
        "https://www.maxmind.com/en/geolite-free-ip-geolocation-data",
        "GeoLite EULA",
        True,
        "GeoLite2-",
        "This product includes GeoLite Data created by MaxMind",
    ),
    Maker(
        "IPinfo Lite", "https://ipinfo.io/lite", "CC BY-SA 4.0", True, "ipinfo ", "IP address data powered by IPinfo"
    ),
)


def to_credit(database: str) -> Maker | None:
    """Whom a page that shows the data names, by `metadata.database_type` of its file."""
    return next((maker for maker in MAKERS if maker.credit and database.startswith(maker.begins)), None)
