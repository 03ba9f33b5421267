"""Static files under URLs that contain their content's hash, so that browsers may cache them forever."""

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

FOLDER = Path(__file__).resolve().parent / "static"
FOREVER = "public, max-age=31536000, immutable"

mimetypes.add_type("image/svg+xml", ".svg")
mimetypes.add_type("text/javascript", ".js")


@cache
def fingerprint(path: str) -> str:
    return hashlib.sha256((FOLDER / path).read_bytes()).hexdigest()[:8]


def asset(path: str) -> str:
    """`css/base.css` → `/static/1a2b3c4d/css/base.css`."""
    return f"/static/{fingerprint(path)}/{path}"


@cache
def _known() -> frozenset[str]:
    return frozenset(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file())


async def serve(request: Request) -> Response:
    """GET /static/{hash}/{path}. Serves only files with exactly that name. No path is resolved."""
    path, digest = request.path_params["path"], request.path_params["digest"]
    if path not in _known():
        raise HTTPException(404)
    caching = FOREVER if digest == fingerprint(path) else "no-cache"
    return FileResponse(FOLDER / path, headers={"cache-control": caching})
