"""An address list as the config templates see it: with all fields of its model."""

from collections import namedtuple
from typing import TYPE_CHECKING, Self

from guardpanel.models.access.address_list import AddressListColumns, AppliesTo
from guardpanel.models.access.feed import FilledFrom
from guardpanel.models.access.reference import Reference
from guardpanel.rendering.rows import OURS, ColumnReader, Row

COLUMNS = ColumnReader(AddressListColumns, without=OURS)

if TYPE_CHECKING:

    class Values(AddressListColumns):
        id: int

        @classmethod
        def _make(cls, values: list[object]) -> Self: ...

else:
    Values = namedtuple("Values", ("id", *COLUMNS.names))  # noqa: PYI024 not by hand


class AddressListState(Values):
    __slots__ = ()

    @property
    def file(self) -> str:
        """HAProxy's map: `10.0.0.0/8 9999999999`, a network and when its entry ends."""
        return f"lists/{self.id}.map"

    @property
    def is_fed(self) -> bool:
        return self.filled_from is not FilledFrom.HAND

    @property
    def is_everywhere(self) -> bool:
        return self.applies_to is AppliesTo.EVERYWHERE

    @property
    def digest(self) -> str:
        return Reference.read(self.content).digest

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls._make([row["id"], *COLUMNS.values(row)])
