"""API tokens: what scripts log in with. They are no configuration: no revision and no backup has them."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from guardpanel.models.meta import Choice, described
from guardpanel.models.types import Fields, Name, stored


class TokenRole(Choice):
    READ = "read", "Read", "What viewers see."
    OPERATE = "operate", "Read and change", "What administrators change, except tokens, accounts and backups."


class TokenLife(Choice):
    MONTH = "30d", "30 days"
    QUARTER = "90d", "90 days"
    YEAR = "365d", "1 year"
    FOREVER = "forever", "Forever"


LIVES = {
    TokenLife.MONTH: timedelta(days=30),
    TokenLife.QUARTER: timedelta(days=90),
    TokenLife.YEAR: timedelta(days=365),
}


class ApiTokenFields(Fields):
    """What an operator sets."""

    name: Name = described(
        "Name", placeholder="deploy script", hint="The author of its changes. For example, the script that uses it."
    )
    role: TokenRole = described("Role", TokenRole.READ)
    life: TokenLife = described("Expires after", TokenLife.QUARTER)
    requires_if_match: bool = described(
        "Require If-Match",
        default=False,
        hint="Changes and deletions of rows must send the ETag that was read, else they get 428.",
    )

    def expires_at(self, now: datetime) -> datetime | None:
        """None: never."""
        return now + LIVES[self.life] if self.life in LIVES else None


class ApiToken(SQLModel, table=True):
    """Only the SHA-256 of its secret is stored. A revoked one is deleted."""

    __table_args__ = (CheckConstraint("role in ('read', 'operate')", name="role"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=100)
    role: TokenRole = Field(sa_type=stored(TokenRole))
    requires_if_match: bool = False
    secret_hash: str = Field(unique=True, max_length=64)
    created_by: str = Field(max_length=255)
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    expires_at: datetime | None = None
    "None: never."
    used_at: datetime | None = None
    "To within a minute. None: not yet."

    def is_over(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now
