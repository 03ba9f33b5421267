"""How the WAF treats the traffic bound to it."""

from datetime import UTC, datetime
from typing import Self

from pydantic import ValidationInfo, field_validator
from sqlalchemy import JSON, CheckConstraint
from sqlmodel import Field

from guardpanel.models.content_types import BodyReading, ContentTypeReadings, ContentTypes, reading_of
from guardpanel.models.enforcement import (
    EnforcementMode,
    FailMode,
    OverLimit,
    StreamedResponses,
    fails_open,
    over_limit_in,
)
from guardpanel.models.meta import described
from guardpanel.models.noun import Menu, Noun
from guardpanel.models.policy_lists import (
    DATA_TYPES,
    FORM_TYPES,
    MASKED_FIELDS,
    WEBSITE_METHODS,
    Masks,
    Methods,
    Skips,
)
from guardpanel.models.types import Fields, Name, Notes, refuse, stored

KIB = 1024
LARGEST_BODY_KIB = 4096
"With our agent (DESIGN §5): HAProxy's buffers and SPOP frames grow with it."

LARGEST_BODY_KIB_IN_SMALL_FRAMES = 48
"With coraza-spoa, which takes frames of 64 KiB: beside the body there are headers, address and HAProxy's own share."

MOST_ARGUMENTS = 10_000
"Judging one takes the agent about 0.3 ms, and after 4 s it gives no verdict."


class PolicyFields(Fields):
    """What an operator sets: the input of the form, of the JSON body and of the table."""

    name: Name = described("Name", max_length=100)
    description: Notes = described("Description", "")
    enforcement_mode: EnforcementMode = described(
        "Enforcement mode",
        EnforcementMode.DETECT_ONLY,
        sa_type=stored(EnforcementMode),
    )
    blocking_paranoia_level: int = described("Blocking paranoia level", 1, ge=1, le=4, short="Blocking level")
    detection_paranoia_level: int = described(
        "Detection paranoia level",
        1,
        short="Detection level",
        ge=1,
        le=4,
        hint="Rules above the blocking level, up to the detection level, are logged but never block.",
    )
    inbound_anomaly_threshold: int = described(
        "Inbound anomaly threshold",
        5,
        short="Threshold",
        ge=1,
        le=10_000,
        hint="A critical rule adds 5. At 5, one is enough; at 7, at least two rules must fire.",
    )
    outbound_anomaly_threshold: int = described(
        "Outbound anomaly threshold",
        4,
        short="Outbound threshold",
        ge=1,
        le=10_000,
        hint="The score at which a response is blocked.",
    )
    body_limit_kib: int = described(
        "Body limit",
        128,
        ge=1,
        le=LARGEST_BODY_KIB,
        unit="KiB",
        hint="A JSON body or text field takes up to 4 s per MiB. After 4 s the fail mode applies.",
    )
    argument_limit: int = described(
        "Argument limit",
        1_000,
        ge=1,
        le=MOST_ARGUMENTS,
        hint="For the URL, a form, and the cookies each. Inspecting 1,000 takes about 0.3 s. More get 400, or are only detected.",
    )
    json_value_limit: int = described(
        "JSON value limit",
        5_000,
        ge=1,
        le=MOST_ARGUMENTS,
        hint="For a JSON body. Importing 300 passwords as JSON takes 3,000 values.",
    )
    over_limit: OverLimit = described(
        "Bodies over the limit",
        OverLimit.BY_MODE,
        sa_type=stored(OverLimit),
        hint="Servers receive what passes with X-WAF-Body: not-inspected, or first-N for the N bytes that were inspected.",
    )
    upload_seconds: int = described(
        "Minimum body time", 10, ge=1, le=600, unit="s", hint="Every body may take this long."
    )
    upload_rate_kib: int = described(
        "Minimum body rate",
        16,
        ge=1,
        le=65_536,
        unit="KiB/s",
        hint="A body may take longer while it arrives at this rate: 3,000 KiB at 16 KiB/s get 188 s more.",
    )
    response_inspection: bool = described(
        "Response inspection",
        False,
        hint="Finds leaked errors and source code in HTML, plain-text, and XML responses.",
    )
    file_inspection: bool = described(
        "JSON and XML files",
        False,
        hint="Inspects uploaded files that are declared as JSON or XML, and rejects malformed ones. When off, only file "
        "names are inspected.",
    )
    response_seconds: int = described(
        "Response hold time",
        5,
        ge=1,
        le=55,
        unit="s",
        hint="An inspected response is held until it is complete, as much as the body limit has arrived, or this time is "
        "over. HAProxy 2.6 ignores this time: it inspects the first part of a streamed page, or holds it to its end.",
    )
    streamed_responses: StreamedResponses = described(
        "Slow responses", StreamedResponses.JUDGE_BEGINNING, sa_type=stored(StreamedResponses)
    )
    fail_mode: FailMode = described(
        "Fail mode",
        FailMode.BY_MODE,
        sa_type=stored(FailMode),
        hint="When the WAF gives no verdict: Closed returns 503, Open passes and counts the request. Automatic: Block closes, "
        "Detect only opens.",
    )
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
        f"{', '.join(BodyReading)}. Binary is inspected only if it is text, none never.",
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

    @field_validator("detection_paranoia_level")
    @classmethod
    def detection_reaches_blocking(cls, level: int, info: ValidationInfo) -> int:
        blocking = info.data.get("blocking_paranoia_level")
        if blocking is not None and level < blocking:
            raise refuse(f"The detection level must be at least the blocking level ({blocking}).")
        return level


class Policy(PolicyFields, table=True):
    """A row. `version` counts its edits; a form or an If-Match that names an older one is stale."""

    __table_args__ = (
        CheckConstraint("enforcement_mode in ('block', 'detect_only', 'off')", name="enforcement_mode"),
        CheckConstraint("detection_paranoia_level >= blocking_paranoia_level", name="paranoia_levels"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    version: int = 1
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    def replace(self, fields: PolicyFields) -> Self:
        for name in PolicyFields.model_fields:
            setattr(self, name, getattr(fields, name))
        return self

    def fails_open(self, mode: EnforcementMode) -> bool:
        """Whether a request passes that the WAF could not judge, in that mode."""
        return fails_open(self.fail_mode, mode)

    def reads(self) -> dict[BodyReading, list[str]]:
        """The allowed content types by how bodies of them are read."""
        by_reading: dict[BodyReading, list[str]] = {}
        for kind in self.allowed_content_types:
            by_reading.setdefault(reading_of(kind, self.content_type_readings), []).append(kind)
        return by_reading

    def over(self, mode: EnforcementMode) -> OverLimit:
        """What happens to a larger body, in that mode."""
        return over_limit_in(self.over_limit, mode)

    def touch(self, version: int) -> None:
        """One more edit: a form that was opened before it is stale from now on."""
        self.version = version
        self.updated_at = datetime.now(UTC)


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
    has_own_names=True,
    menu=Menu(30, "shield", "p"),
)
