"""How the WAF treats the traffic bound to it."""

from typing import Self

from sqlalchemy import JSON, CheckConstraint
from sqlmodel import Field

from guardpanel.models.meta import described
from guardpanel.models.noun import Menu, Noun
from guardpanel.models.policies.content_types import ContentTypeReadings, ContentTypes, ReadAs, reading_of
from guardpanel.models.policies.enforcement import (
    EnforcementMode,
    OverLimit,
    fails_open,
    over_limit_in,
)
from guardpanel.models.policies.policy_geo import GeoFields
from guardpanel.models.policies.policy_lists import (
    DATA_TYPES,
    FORM_TYPES,
    MASKED_FIELDS,
    WEBSITE_METHODS,
    Masks,
    Methods,
    Skips,
)
from guardpanel.models.policies.restrictions import (
    CHARSETS,
    EXTENSIONS,
    HEADERS,
    HTTP_VERSIONS,
    Charsets,
    HttpVersions,
    RestrictedExtensions,
    RestrictedHeaders,
)
from guardpanel.models.versioned_row import VersionedRow

KIB = 1024
LARGEST_BODY_KIB_IN_SMALL_FRAMES = 48
"With coraza-spoa, whose frames have 64 KiB: headers, URL and HAProxy's own data need their share."


class PolicyFields(GeoFields):
    """What an operator sets: the input of the form and the JSON body, and the columns of the table."""

    allowed_methods: Methods = described(
        "Allowed methods",
        short="Methods",
        default_factory=lambda: list(WEBSITE_METHODS),
        sa_type=JSON,
        hint="One per line. Any other method adds to the score.",
    )
    allowed_content_types: ContentTypes = described(
        "Allowed content types",
        short="Content types",
        default_factory=lambda: FORM_TYPES + DATA_TYPES,
        sa_type=JSON,
        hint="One per line. Use image/* for all image types. Any other content type adds to the score.",
    )
    content_type_readings: ContentTypeReadings = described(
        "Content type readings",
        default_factory=list,
        sa_type=JSON,
        hint="Exceptions to how bodies are parsed, one per line. For example, text/x-log = none. Values: "
        f"{', '.join(ReadAs)}. Binary is inspected only if it is text, none never.",
    )
    allowed_charsets: Charsets = described(
        "Allowed charsets",
        default_factory=lambda: list(CHARSETS),
        sa_type=JSON,
        hint="One per line, as a content type names it. Any other charset adds to the score.",
    )
    allowed_http_versions: HttpVersions = described(
        "Allowed HTTP versions",
        default_factory=lambda: list(HTTP_VERSIONS),
        sa_type=JSON,
        hint="One per line: 1.0, 1.1, 2, 3. Any other version adds to the score.",
    )
    restricted_headers: RestrictedHeaders = described(
        "Restricted headers",
        default_factory=lambda: list(HEADERS),
        sa_type=JSON,
        hint="One per line. A request with one of them adds to the score. Remove only those that the application uses.",
    )
    restricted_extensions: RestrictedExtensions = described(
        "Restricted file extensions",
        short="Restricted extensions",
        default_factory=lambda: list(EXTENSIONS),
        sa_type=JSON,
        hint="One per line. A request for such a file adds to the score, on every path.",
    )
    skip_paths: Skips = described(
        "Skipped paths",
        default_factory=list,
        sa_type=JSON,
        hint="One extension (.css) or path prefix (/assets/) per line. Only GET and HEAD without a query or body are skipped.",
    )
    masked_fields: Masks = described(
        "Masked fields",
        default_factory=lambda: list(MASKED_FIELDS),
        sa_type=JSON,
        hint="One field, header, or cookie name per line. Use * as a wildcard at either end, @cards for card numbers. If "
        "empty, events show passwords.",
    )
    record_one_in: int = described(
        "Recorded requests",
        100,
        short="Recorded",
        ge=0,
        le=1_000_000,
        hint="One in this many requests that fire no rule is stored, with every value masked, to try changes on. 0 for none.",
    )
    record_per_day: int = described(
        "Recorded per day", 240, ge=1, le=10_000, hint="1–10,000 for each hostname, spread over the hours of the day."
    )
    record_days: int = described(
        "Recorded requests kept", 7, ge=1, le=90, unit="days", hint="1–90. Applies to requests recorded from now on."
    )


class PolicyInput(PolicyFields):
    """What is sent: the fields, and what is said to a question."""

    save_anyway: bool | None = described("Save anyway", default=False, hint="Accept what the warnings say.")


class Policy(PolicyFields, VersionedRow, table=True):
    """A row. `version` counts its edits; a form or an If-Match that names an older one is stale."""

    __table_args__ = (
        CheckConstraint("enforcement_mode in ('block', 'detect_only', 'off')", name="enforcement_mode"),
        CheckConstraint("detection_paranoia_level >= blocking_paranoia_level", name="paranoia_levels"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    fixed_groups: dict[str, int] = Field(default_factory=dict, sa_type=JSON)
    "Groups of events that a change fixed, by key (services/fixes/fixed.py)."

    def replace(self, fields: PolicyFields) -> Self:
        for name in PolicyFields.model_fields:
            setattr(self, name, getattr(fields, name))
        return self

    def fails_open(self, mode: EnforcementMode) -> bool:
        """Whether requests that the WAF could not inspect pass in this mode."""
        return fails_open(self.fail_mode, mode)

    def reads(self) -> dict[ReadAs, list[str]]:
        """The allowed content types by how bodies of them are read."""
        by_reading: dict[ReadAs, list[str]] = {}
        for kind in self.allowed_content_types:
            by_reading.setdefault(reading_of(kind, self.content_type_readings), []).append(kind)
        return by_reading

    def over(self, mode: EnforcementMode) -> OverLimit:
        """What happens to larger bodies in this mode."""
        return over_limit_in(self.over_limit, mode)


NOUN = Noun(
    "policy",
    "policies",
    "Policy",
    "Policies",
    Policy,
    PolicyFields,
    "/policies",
    "policies",
    "How the WAF treats the traffic of the virtual hosts bound to it.",
    {"name": "Shop", "enforcement_mode": "block", "blocking_paranoia_level": 1, "detection_paranoia_level": 2},
    has_own_names=True,
    menu=Menu(30, "shield", "p"),
    sent=PolicyInput,
)
