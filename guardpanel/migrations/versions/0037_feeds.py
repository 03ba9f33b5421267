"""Feeds that fill address lists

Revision: 0037, after 0036
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

text, moment = sqlmodel.sql.sqltypes.AutoString, sqlmodel.sql.sqltypes.UTCDateTime

EMPTY = "0 entries (e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855)"


def upgrade() -> None:
    filled_from = sa.Enum("hand", "url", "crowdsec", name="filledfrom", native_enum=False, length=20)
    every = sa.Enum("15m", "1h", "6h", "1d", "7d", name="feedinterval", native_enum=False, length=20)
    with op.batch_alter_table("addresslist", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("filled_from", filled_from, nullable=False, server_default="hand"))
        batch_op.add_column(sa.Column("feed_url", text(length=1000), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("feed_every", every, nullable=False, server_default="1h"))
    op.create_table(
        "feed",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("address_list_id", sa.Integer(), nullable=False),
        sa.Column("list_created_at", moment(), nullable=False),
        sa.Column("url", text(length=1000), nullable=False),
        sa.Column("accepted_url", text(length=1000), nullable=False),
        sa.Column("content", text(length=100), nullable=False, server_default=EMPTY),
        sa.Column("waiting", text(length=100), nullable=False),
        sa.Column("waiting_because", text(length=500), nullable=False),
        sa.Column("etag", text(length=500), nullable=False),
        sa.Column("last_modified", text(length=100), nullable=False),
        sa.Column("tried_at", moment(), nullable=True),
        sa.Column("checked_at", moment(), nullable=True),
        sa.Column("changed_at", moment(), nullable=True),
        sa.Column("accepted_by", text(length=320), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("problem", text(length=5000), nullable=False),
        sa.Column("left_out", text(length=1000), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed")),
        sa.UniqueConstraint("address_list_id", "list_created_at", name=op.f("uq_feed_address_list_id")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("feed")
    with op.batch_alter_table("addresslist", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in ("feed_every", "feed_url", "filled_from"):
            batch_op.drop_column(name)
