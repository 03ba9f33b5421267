"""A policy as the config templates see it."""

from guardpanel.models.policies.enforcement import EnforcementMode, OverLimit, fails_open, over_limit_in
from guardpanel.models.policies.policy import KIB, PolicyFields
from guardpanel.rendering.rows import OURS, ColumnReader, Row

OF_FIELDS = ColumnReader(PolicyFields, without=OURS)


class PolicyState(PolicyFields):
    """All fields of a policy. They were validated when it was saved, and are immutable."""

    id: int

    @property
    def body_limit(self) -> int:
        """Bytes."""
        return self.body_limit_kib * KIB

    def fails_open(self, mode: EnforcementMode) -> bool:
        return fails_open(self.fail_mode, mode)

    def over(self, mode: EnforcementMode) -> OverLimit:
        return over_limit_in(self.over_limit, mode)

    def __hash__(self) -> int:
        return hash(self.id)

    @classmethod
    def from_row(cls, row: Row) -> "PolicyState":
        values = OF_FIELDS.by_name(row)
        return cls.model_construct(set(values), id=row["id"], **values)
