"""HAProxy's own pages, and what error page sets add to them: fragments of HTML in maps, where neither `%` nor quotes mean
anything to HAProxy.

It looks for them when it sends a page (config_templates/haproxy/errors/_page.html): other requests cost nothing.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from markupsafe import Markup

from guardpanel.models.error_page import ErrorPageColumns
from guardpanel.rendering.rows import ColumnReader, Row, Rows
from guardpanel.rendering.templates import template
from guardpanel.rendering.tokens import Token
from guardpanel.rendering.virtual_host import VirtualHostState
from guardpanel.shipped import config_templates

HOSTS_MAP, TOPS_MAP, NAMES_MAP, ENDS_MAP = "page_hosts.map", "page_tops.map", "page_names.map", "page_ends.map"

PART = 12_000
"Characters of a picture in a line of a map. HAProxy reads lines of up to 16 KiB."

EXAMPLE_ID = "019ac3f2-7b1e-7d04-9c55-2f0d6a1be873"
"The request ID of a preview."

NO_PAGE = 0
"In place of the default set's id, where there is none."

PLACE = re.compile(r"%\[var[^\]]*map_str\(([a-z0-9_.]+)\)\]")

OF_PAGE = ColumnReader(ErrorPageColumns)


class ErrorPageState(NamedTuple):
    """A set in use."""

    id: int
    is_default: bool
    site_name: str
    logo: str
    accent: str
    text: str
    contact: str

    @classmethod
    def from_row(cls, row: Row) -> "ErrorPageState":
        values = {"id": row["id"], **OF_PAGE.by_name(row)}
        return cls(**{name: values[name] for name in cls._fields})

    @property
    def prefix(self) -> str:
        """`data:image/png;base64,`"""
        return self.logo[: self.logo.find(",") + 1]

    @property
    def parts(self) -> list[str]:
        picture = self.logo.removeprefix(self.prefix)
        return [picture[start : start + PART] for start in range(0, len(picture), PART)]

    @property
    def top(self) -> Markup:
        """Up to the picture's Base64."""
        bar = Markup("<style>html { border-top: .375rem solid %s }</style>") % self.accent if self.accent else Markup()
        brand = Markup('<p class="brand">') if self.logo or self.site_name else Markup()
        return bar + brand + (Markup('<img alt="" src="%s') % self.prefix if self.logo else Markup())

    @property
    def named(self) -> Markup:
        """What follows the picture."""
        end = Markup("</p>") if self.logo or self.site_name else Markup()
        return (Markup('"> ') if self.logo else Markup()) + self.site_name + end

    @property
    def end(self) -> Markup:
        lines = Markup("<br>").join(self.text.split("\n"))
        text = Markup("<p>%s</p>") % lines if self.text else Markup()
        address = self.contact if "://" in self.contact else f"mailto:{self.contact}"
        link = Markup('<p>Contact: <a href="%s">%s</a></p>') % (address, self.contact) if self.contact else Markup()
        return text + link

    @property
    def fragments(self) -> Mapping[str, str]:
        """By map. Empty ones are left out."""
        parts = {logo_map(at): part for at, part in enumerate(self.parts)}
        each = {TOPS_MAP: self.top, **parts, NAMES_MAP: self.named, ENDS_MAP: self.end}
        return {name: str(fragment) for name, fragment in each.items() if fragment}


def in_use(rows: Rows, hosts: tuple[VirtualHostState, ...]) -> tuple[ErrorPageState, ...]:
    enabled = {host.id for host in hosts}
    paths = (row for row in rows.get("pathbinding", ()) if row["virtual_host_id"] in enabled)
    used = {host.error_page_id for host in hosts} | {row.get("error_page_id") for row in paths}
    sets = (row for row in sorted(rows.get("errorpage", ()), key=lambda row: row["id"]))
    return tuple(ErrorPageState.from_row(row) for row in sets if row["is_default"] or row["id"] in used)


def logo_map(part: int) -> str:
    return f"page_logos_{part + 1}.map"


def maps(pages: tuple[ErrorPageState, ...], chosen: Mapping[str, int]) -> dict[str, str]:
    """`17 3`, and by set: `3 <p>Call us.</p>`"""
    own = "".join(f"{key} {number}\n" for key, number in chosen.items())
    lines = dict.fromkeys((TOPS_MAP, *logo_maps(pages), NAMES_MAP, ENDS_MAP), "")
    for page in pages:
        for name, fragment in page.fragments.items():
            lines[name] += f"{page.id} {fragment}\n"
    return {HOSTS_MAP: own, **lines}


def logo_maps(pages: tuple[ErrorPageState, ...]) -> list[str]:
    return [logo_map(part) for part in range(max(len(page.parts) for page in pages))]


def files(pages: tuple[ErrorPageState, ...], chosen: Mapping[str, int], *, by_path: bool) -> dict[str, str]:
    """The pages, and the maps that they look in. `chosen`: the sets of virtual hosts and, `by_path`, of their paths."""
    if not pages:
        return _texts("", "")
    default = next((page.id for page in pages if page.is_default), NO_PAGE)
    which = f"%[var(txn.gp.{'bound' if by_path else 'vhost'},{NO_PAGE}),map_str({HOSTS_MAP},{default})"
    head = "".join(_place(which, name) for name in (TOPS_MAP, *logo_maps(pages), NAMES_MAP))
    return _texts(head, _place(which, ENDS_MAP)) | maps(pages, chosen)


def _place(which: str, name: str) -> str:
    """Becomes what the map has for the set that was chosen, or else for the default one. Nothing if there is none."""
    return f"{which},map_str({name})]"


@cache
def _texts(head: str, end: str) -> dict[str, str]:
    """By path. `head` and `end`: log formats of our own."""
    names = sorted(page.name for page in (config_templates() / "haproxy" / "errors").glob("[!_]*.html"))
    places = {"head": Token(head), "end": Token(end)}
    return {f"errors/{name}": template(f"haproxy/errors/{name}").render(**places) for name in names}


def preview(page: ErrorPageState, name: str) -> str:
    """A page with this set as HAProxy sends it. Raises KeyError for one that there is not."""
    only = page._replace(is_default=True)
    text = (
        files((only,), {}, by_path=False)[f"errors/{name}.html"].replace("%[unique-id]", EXAMPLE_ID).replace("%%", "%")
    )
    return PLACE.sub(lambda place: page.fragments.get(place[1], ""), text)
