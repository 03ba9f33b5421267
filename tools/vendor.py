"""Bring the third-party assets into guardpanel/static, from npm, and record their hashes.

`python tools/vendor.py` downloads exactly the versions named here. A tarball whose hash differs
from the one in VENDOR.json is refused unless its version changed.
"""

import base64
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).resolve().parent.parent / "guardpanel" / "static"
LOCK = STATIC / "vendor" / "VENDOR.json"
SPRITE = "icons.svg"

ICONS = """
    layout-dashboard globe activity shield list-checks network history flask-conical server-cog
    search plus x check minus ellipsis menu chevron-down chevron-right arrow-up arrow-down arrow-up-right
    circle-check circle-x circle-alert circle-dashed circle-arrow-down triangle-alert octagon-alert loader-circle
    eye shield-off shield-check ban crosshair wrench clock lock
    undo-2 rotate-ccw copy download bookmark play pause trash-2
    log-out settings sun moon monitor keyboard user pencil external-link
"""

MARK = (
    '<symbol id="mark" viewBox="0 0 24 24" fill="currentColor" stroke="none">'
    '<path d="M12 2 3.5 5v6.6c0 5 3.5 8.5 8.5 10.4 5-1.9 8.5-5.4 8.5-10.4V5z"/>'
    '<path d="M7.6 9h8.8M7.6 12.2h8.8M9 15.4h6" fill="none"'
    ' stroke="var(--bg-side, #fff)" stroke-width="1.7" stroke-linecap="round"/>'
    "</symbol>"
)


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    licence: str
    copies: dict[str, str]
    """Where a file of the package goes, below static/."""


HTMX = Package(
    "htmx.org",
    "4.0.1",
    "0BSD",
    {"dist/htmx.min.js": "vendor/htmx.min.js", "LICENSE": "vendor/htmx.LICENSE"},
)
LUCIDE = Package("lucide-static", "1.62.0", "ISC", {"LICENSE": "vendor/lucide.LICENSE"})


def main() -> None:
    known = {entry["name"]: entry for entry in json.loads(LOCK.read_text())} if LOCK.exists() else {}
    entries = []
    for package in (HTMX, LUCIDE):
        with tempfile.TemporaryDirectory() as folder:
            tarball = pack(package, Path(folder))
            sha512 = integrity(tarball.read_bytes(), "sha512")
            refuse_a_changed_tarball(package, sha512, known.get(package.name))
            written = unpack(package, tarball)
        entries.append(
            {
                "name": package.name,
                "version": package.version,
                "licence": package.licence,
                "tarball": sha512,
                "files": {path: integrity((STATIC / path).read_bytes(), "sha384") for path in written},
            }
        )
    LOCK.write_text(json.dumps(entries, indent=2) + "\n")


def pack(package: Package, folder: Path) -> Path:
    name = f"{package.name}@{package.version}"
    subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.tgz"))


def refuse_a_changed_tarball(package: Package, sha512: str, entry: dict[str, str] | None) -> None:
    if entry and entry["version"] == package.version and entry["tarball"] != sha512:
        sys.exit(f"{package.name} {package.version} is not what VENDOR.json recorded: {sha512}")


def unpack(package: Package, tarball: Path) -> list[str]:
    with tarfile.open(tarball) as archive:
        for source, target in package.copies.items():
            (STATIC / target).write_bytes(read(archive, source))
        written = list(package.copies.values())
        if package is LUCIDE:
            (STATIC / SPRITE).write_text(sprite(archive))
            written.append(SPRITE)
    return written


def sprite(archive: tarfile.TarFile) -> str:
    """One symbol per icon, without stroke attributes: those are the stylesheet's."""
    symbols = [MARK]
    for name in ICONS.split():
        svg = read(archive, f"icons/{name}.svg").decode()
        shapes = re.findall(r"<(?!svg|!|/)[^>]+/>", svg)
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{"".join(shapes).replace(" />", "/>")}</symbol>')
    licence = f"<!-- Icons: Lucide {LUCIDE.version}, ISC, see vendor/lucide.LICENSE. The mark is guardpanel's own. -->"
    return "\n".join(['<svg xmlns="http://www.w3.org/2000/svg">', licence, *symbols, "</svg>", ""])


def read(archive: tarfile.TarFile, path: str) -> bytes:
    member = archive.extractfile(f"package/{path}")
    if member is None:
        sys.exit(f"{path} is no file of the package")
    return member.read()


def integrity(content: bytes, algorithm: str) -> str:
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


if __name__ == "__main__":
    main()
