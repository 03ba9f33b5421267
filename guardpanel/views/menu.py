"""Sidebar entries and their shortcuts: nouns and other pages."""

from dataclasses import dataclass

from guardpanel.models import NOUNS


@dataclass(frozen=True)
class Entry:
    """`g` and then `key` opens it. `place` orders the entries. A line separates entries that stand apart."""

    place: int
    url: str
    word: str
    icon: str
    key: str
    apart: bool = False


OTHERS = (
    Entry(0, "/", "Dashboard", "layout-dashboard", "d"),
    Entry(20, "/events", "Events", "activity", "e"),
    Entry(30, "/access", "Access", "ban", "a"),
    Entry(40, "/rules", "Rules", "list-checks", "r"),
    Entry(80, "/changes", "Changes", "history", "c"),
    Entry(90, "/system", "System", "server-cog", "s", apart=True),
)

MENU = sorted(
    [
        *OTHERS,
        *(
            Entry(noun.menu.place, noun.path, noun.plural, noun.menu.icon, noun.menu.key)
            for noun in NOUNS.values()
            if noun.menu
        ),
    ],
    key=lambda entry: entry.place,
)
