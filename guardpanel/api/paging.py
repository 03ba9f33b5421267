"""Pages of lists. A page has the cursor of the next one: how a script reads a list of any kind to its end."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from guardpanel.models.types import refuse

CURSOR = "The `next_cursor` of a page: what follows it."

NEXT_CURSOR = "Of the next page, for `cursor`. Null: there is none."

Total = Annotated[int, Field(description="Number of matches, before paging.")]

NextCursor = Annotated[str | None, Field(description=NEXT_CURSOR)]


class Paging(BaseModel):
    """The parameters of a list in an order that does not depend on time."""

    cursor: str = Field(default="", pattern=r"^(from-[1-9][0-9]{0,7})?$", description=CURSOR)
    per_page: int = Field(default=50, ge=1, le=500)
    page: int = Field(
        default=1, ge=1, le=100_000, description="Use `cursor` instead.", json_schema_extra={"deprecated": True}
    )

    @field_validator("page")
    @classmethod
    def is_the_only_place(cls, page: int, info: ValidationInfo) -> int:
        if page > 1 and info.data.get("cursor"):
            raise refuse("Send cursor or page, not both.")
        return page

    @property
    def offset(self) -> int:
        return int(self.cursor.removeprefix("from-")) if self.cursor else (self.page - 1) * self.per_page

    def place(self, total: int) -> dict[str, Any]:
        """The keys of `Paged`."""
        ends = self.offset + self.per_page
        number = self.offset // self.per_page + 1
        return {
            "total": total, "next_cursor": f"from-{ends}" if ends < total else None,
            "page": number, "per_page": self.per_page,
        }  # fmt: skip


class NumberedPaging(Paging):
    """Of lists that the React panel reads: by the numbers of pages."""

    page: int = Field(default=1, ge=1, le=100_000, description="Other clients use `cursor`.")


class Paged(BaseModel):
    total: Total
    next_cursor: NextCursor
    page: int
    per_page: int
