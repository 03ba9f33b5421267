"""Countries and networks as a policy names them: ISO 3166-1 codes, and numbers of autonomous systems (ASN)."""

import re
from typing import Annotated

from pydantic import AfterValidator
from sqlmodel import Field

from guardpanel.models.refusing import refuse
from guardpanel.models.types import Lines, visible

UNKNOWN = "--"
"Of an address that the data does not have: private ones, and what was assigned since."

LISTED = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF "
    "CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH "
    "GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW "
    "KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG "
    "NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN "
    "SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE "
    "YT ZA ZM ZW"
)
CODES = frozenset(LISTED.split())
"ISO 3166-1, and XK, under which data has Kosovo."

OTHERWISE = {"UK": "GB", "EL": "GR"}
"What people write for a code."

ASN = re.compile(r"(?:AS)?([1-9][0-9]{0,9})", re.ASCII)
LARGEST_ASN = 2**32 - 1

MOST_COUNTRIES, MOST_NETWORKS = 250, 1_000


def known_countries(entries: list[str]) -> list[str]:
    codes = list(dict.fromkeys(visible(entry.strip()).upper() for entry in entries))
    for code in codes:
        if code in OTHERWISE:
            raise refuse(f"Enter {OTHERWISE[code]} for {code}.")
        if code != UNKNOWN and code not in CODES:
            raise refuse(
                f"{code[:40]} is not a country code. Use 2 letters of ISO 3166, such as DE, or {UNKNOWN} for unknown."
            )
    return codes


def known_networks(entries: list[str]) -> list[str]:
    return list(dict.fromkeys(network_number(visible(entry.strip()).upper()) for entry in entries))


def network_number(text: str) -> str:
    """`AS64500`, for `64500` as well."""
    if text == UNKNOWN:
        return text
    match = ASN.fullmatch(text)
    if match is None or int(match[1]) > LARGEST_ASN:
        raise refuse(f"{text[:40]} is not the number of a network. Use one such as AS64500, or {UNKNOWN} for unknown.")
    return f"AS{int(match[1])}"


Countries = Annotated[Lines, AfterValidator(known_countries), Field(max_length=MOST_COUNTRIES)]
Networks = Annotated[Lines, AfterValidator(known_networks), Field(max_length=MOST_NETWORKS)]
