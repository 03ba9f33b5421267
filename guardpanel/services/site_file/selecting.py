"""Parts of an exported file."""

from guardpanel.readable_yaml import read, written
from guardpanel.services.site_file.keys import FORMAT, FORMAT_KEY


def only(text: str, section: str, name: str) -> str | None:
    """The rows of a section with this name, as a file of their own. None: there are none."""
    rows = [row for row in read(text)[section] if row["name"] == name]
    return written({FORMAT_KEY: FORMAT, section: rows}, ascii_only=False) if rows else None
