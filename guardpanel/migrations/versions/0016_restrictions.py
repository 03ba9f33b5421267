"""What a policy restricts besides methods and content types: headers, extensions, charsets, HTTP versions

Revision: 0016, after 0015
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

HEADERS = (
    "content-encoding proxy lock-token content-range if x-http-method-override x-http-method x-method-override "
    "x-middleware-subrequest expect accept-charset"
)
EXTENSIONS = """
.ani .asa .asax .ascx .back .backup .bak .bck .bk .bkp .bat .cdx .cer .cfg .cmd .cnf .com .compositefont .config .conf
.copy .crt .cs .csproj .csr .dat .db .dbf .dist .dll .dos .dpkg-dist .drv .gadget .hta .htr .htw .ida .idc .idq .inc .inf
.ini .jks .jse .key .licx .lnk .log .mdb .msc .ocx .old .pass .pdb .pfx .pif .pem .pol .prf .printer .pwd .rdb .rdp .reg
.resources .resx .sav .save .scr .sct .sh .shs .sql .sqlite .sqlite3 .swap .swo .swp .sys .temp .tfstate .tlb .tmp .vb
.vbe .vbs .vbproj .vsdisco .vxd .webinfo .ws .wsc .wsf .wsh .xsd .xsx
"""
LISTS = {
    "allowed_charsets": "utf-8 iso-8859-1 iso-8859-15 windows-1252",
    "allowed_http_versions": "1.0 1.1 2 3",
    "restricted_headers": HEADERS,
    "restricted_extensions": EXTENSIONS,
}
"What OWASP CRS 4.25.0 says without any: nothing changes for existing policies."


def upgrade() -> None:
    for name, words in LISTS.items():
        column = sa.Column(name, sa.JSON(), nullable=False, server_default=json.dumps(words.split()))
        op.add_column("policy", column)


def downgrade() -> None:
    """Without a copy of the table: that would give ids of deleted rows again."""
    for name in LISTS:
        op.drop_column("policy", name)
