"""Pages of lists. A page has the cursor of the next one: how a script reads a list of any kind to its end."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, field_validator

from guardpanel.models.refusing import refuse
from guardpanel.services.paging import Key, Page, Portion

CURSOR = "The `next_cursor` of a page: what follows it."

NEXT_CURSOR = "Of the next page, for `cursor`. Null: there is none."

NO_CURSOR = "Send the next_cursor of a page."

AFTER = "after-"

Total = Annotated[int, Field(description="Number of matches, before paging.")]

NextCursor = Annotated[str | None, Field(description=NEXT_CURSOR)]


def cursor_after(key: Key) -> str:
    """What `key_in` reads."""
    text = json.dumps(key, separators=(",", ":"), ensure_ascii=False)
    return f"{AFTER}{urlsafe_b64encode(text.encode()).decode().rstrip('=')}"


def key_in(cursor: str) -> Key:
    """The key of the row that a page begins after."""
    text = cursor.removeprefix(AFTER)
    try:
        key = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        json.dumps(key, ensure_ascii=False).encode()  # No half of a character, which SQLite can't have.
    except (ValueError, RecursionError):
        raise refuse(NO_CURSOR) from None
    if not isinstance(key, list) or {type(part) for part in key} - {str, int, float}:
        raise refuse(NO_CURSOR)
    return tuple(key)


def readable(cursor: str) -> str:
    if cursor:
        key_in(cursor)
    return cursor


Cursor = Annotated[str, AfterValidator(readable)]


class Paging(BaseModel):
    """The parameters of a list. A cursor names the row that the page follows, so that rows that come and go in between double
    and hide no others."""

    cursor: Cursor = Field(default="", max_length=4_000, pattern=r"^(after-[A-Za-z0-9_-]+)?$", description=CURSOR)
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
    def portion(self) -> Portion:
        after = key_in(self.cursor) if self.cursor else None
        return {"after": after, "offset": (self.page - 1) * self.per_page, "limit": self.per_page}

    def counts(self, page: Page[Any]) -> dict[str, Any]:
        """The keys of `Paged`."""
        return {
            "total": page.total, "next_cursor": cursor_after(page.last) if page.has_more and page.last else None,
            "page": page.offset // self.per_page + 1, "per_page": self.per_page,
        }  # fmt: skip


class NumberedPaging(Paging):
    """Of lists that the React panel reads: by the numbers of pages."""

    page: int = Field(default=1, ge=1, le=100_000, description="Other clients use `cursor`.")


class Paged(BaseModel):
    total: Total
    next_cursor: NextCursor
    page: int
    per_page: int
