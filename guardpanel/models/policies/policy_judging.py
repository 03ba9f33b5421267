"""How a policy judges requests: which rules run, which score blocks, and which parts of bodies and responses are inspected."""

from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo, field_validator, model_validator

from guardpanel.models.meta import described
from guardpanel.models.policies.enforcement import EnforcementMode, FailMode, OverLimit, StreamedResponses
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, Name, Notes, stored

LARGEST_BODY_KIB = 4096
"With our agent: HAProxy's buffers and SPOP frames grow with it."

MOST_ARGUMENTS = 10_000
"Each costs the agent about 0.3 ms. After 4 s it gives no verdict."


LONGEST_ARGUMENT = LARGEST_BODY_KIB * 1024
NONE = "no limit"
NoLimit = Annotated[int | None, BeforeValidator(lambda value: None if value == "" else value)]


class JudgingFields(Fields):
    """The first part of a policy's fields."""

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
    argument_name_length: NoLimit = described(
        "Argument name length",
        None,
        ge=1,
        le=LONGEST_ARGUMENT,
        unit="bytes",
        unset=NONE,
        hint="A longer name adds to the score. For example, 100. If empty, no limit.",
    )
    argument_length: NoLimit = described(
        "Argument length",
        None,
        ge=1,
        le=LONGEST_ARGUMENT,
        unit="bytes",
        unset=NONE,
        hint="A longer value adds to the score, such as a long text in a form. If empty, no limit.",
    )
    total_argument_length: NoLimit = described(
        "Total argument length",
        None,
        ge=1,
        le=LONGEST_ARGUMENT,
        unit="bytes",
        unset=NONE,
        hint="For all names and values of a request together. If empty, no limit.",
    )
    upload_kib: NoLimit = described(
        "Multipart body size",
        None,
        ge=1,
        le=LARGEST_BODY_KIB,
        unit="KiB",
        unset=NONE,
        hint="A larger multipart/form-data body adds to the score. If empty, only the body limit applies.",
    )
    files_kib: NoLimit = described(
        "Total file size",
        None,
        ge=1,
        le=LARGEST_BODY_KIB,
        unit="KiB",
        unset=NONE,
        hint="For all files of a multipart body together. If empty, only the body limit applies.",
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

    @model_validator(mode="before")
    @classmethod
    def detection_follows_blocking(cls, data: Any) -> Any:
        """Where only the blocking level is given: the default would be below it."""
        blocking = data.get("blocking_paranoia_level") if isinstance(data, dict) else None
        return data if blocking is None else {"detection_paranoia_level": blocking, **data}

    @field_validator("detection_paranoia_level")
    @classmethod
    def detection_reaches_blocking(cls, level: int, info: ValidationInfo) -> int:
        blocking = info.data.get("blocking_paranoia_level")
        if blocking is not None and level < blocking:
            raise refuse(f"The detection level must be at least the blocking level ({blocking}).")
        return level

    @field_validator("total_argument_length")
    @classmethod
    def total_is_more_than_one(cls, total: int | None, info: ValidationInfo) -> int | None:
        longest = info.data.get("argument_length")
        if total is not None and longest is not None and total < longest:
            raise refuse(f"Enter at least the argument length ({longest:,}), which would never be reached otherwise.")
        return total

    @field_validator("upload_kib", "files_kib")
    @classmethod
    def body_limit_is_more(cls, size: int | None, info: ValidationInfo) -> int | None:
        limit = info.data.get("body_limit_kib")
        if size is not None and limit is not None and size >= limit:
            raise refuse(f"Enter less than the body limit ({limit:,} KiB), which applies first.")
        return size
