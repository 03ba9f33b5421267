"""Address lists and their contents

Revision: 0032, after 0031
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

text, moment = sqlmodel.sql.sqltypes.AutoString, sqlmodel.sql.sqltypes.UTCDateTime


def upgrade() -> None:
    op.create_table(
        "addresslist",
        sa.Column("name", text(length=100), nullable=False),
        sa.Column("kind", sa.Enum("deny", "allow", name="listkind", native_enum=False, length=20), nullable=False),
        sa.Column(
            "applies_to",
            sa.Enum("everywhere", "virtual_hosts", name="appliesto", native_enum=False, length=20),
            nullable=False,
        ),
        sa.Column("virtual_host_ids", sa.JSON(), nullable=False),
        sa.Column("content", text(length=100), nullable=False),
        sa.Column("notes", text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("updated_at", moment(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_addresslist")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "addresslistcontent",
        sa.Column("digest", text(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_addresslistcontent")),
    )


def downgrade() -> None:
    op.drop_table("addresslistcontent")
    op.drop_table("addresslist")
