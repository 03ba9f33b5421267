"""A policy as the config templates see it."""

from typing import NamedTuple

from guardpanel.models.policy import (
    KIB,
    EnforcementMode,
    FailMode,
    OverLimit,
    StreamedResponses,
    fails_open,
    over_limit_in,
)
from guardpanel.rendering.rows import Row


class PolicyState(NamedTuple):
    id: int
    name: str
    enforcement_mode: EnforcementMode
    blocking_paranoia_level: int
    detection_paranoia_level: int
    inbound_anomaly_threshold: int
    outbound_anomaly_threshold: int
    body_limit: int
    "Bytes."
    argument_limit: int
    json_value_limit: int
    over_limit: OverLimit
    upload_seconds: int
    upload_rate_kib: int
    response_inspection: bool
    file_inspection: bool
    response_seconds: int
    streamed_responses: StreamedResponses
    fail_mode: FailMode
    allowed_methods: tuple[str, ...]
    allowed_content_types: tuple[str, ...]
    content_type_readings: tuple[str, ...]
    skip_paths: tuple[str, ...]
    masked_fields: tuple[str, ...]

    def fails_open(self, mode: EnforcementMode) -> bool:
        return fails_open(self.fail_mode, mode)

    def over(self, mode: EnforcementMode) -> OverLimit:
        return over_limit_in(self.over_limit, mode)

    @classmethod
    def from_row(cls, row: Row) -> "PolicyState":
        return cls(
            id=row["id"],
            name=row["name"],
            enforcement_mode=EnforcementMode(row["enforcement_mode"]),
            blocking_paranoia_level=row["blocking_paranoia_level"],
            detection_paranoia_level=row["detection_paranoia_level"],
            inbound_anomaly_threshold=row["inbound_anomaly_threshold"],
            outbound_anomaly_threshold=row["outbound_anomaly_threshold"],
            body_limit=row["body_limit_kib"] * KIB,
            argument_limit=row["argument_limit"],
            json_value_limit=row["json_value_limit"],
            over_limit=OverLimit(row["over_limit"]),
            upload_seconds=row["upload_seconds"],
            upload_rate_kib=row["upload_rate_kib"],
            response_inspection=bool(row["response_inspection"]),
            file_inspection=bool(row["file_inspection"]),
            response_seconds=row["response_seconds"],
            streamed_responses=StreamedResponses(row["streamed_responses"]),
            fail_mode=FailMode(row["fail_mode"]),
            allowed_methods=tuple(row["allowed_methods"]),
            allowed_content_types=tuple(row["allowed_content_types"]),
            content_type_readings=tuple(row["content_type_readings"]),
            skip_paths=tuple(row["skip_paths"]),
            masked_fields=tuple(row["masked_fields"]),
        )
