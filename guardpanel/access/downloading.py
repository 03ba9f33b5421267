"""Downloads of address lists, over HTTPS or from a file: bounded in time and bytes while they are read. Redirects are followed
by hand, each as if it had been typed."""

import asyncio
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from pydantic_core import PydanticCustomError

from guardpanel.access.fetching import LARGEST_BODY, Answer, DownloadFailed, get, too_large
from guardpanel.feed_reach import FeedReach
from guardpanel.models.access.feed import feed_url

LONGEST_SECONDS = 60.0
"Seconds of a download, with all its redirects."

MOST_REDIRECTS = 5
REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True)
class Marks:
    """What a server said of the last download, to be asked whether it still holds (RFC 9110 §13.1)."""

    etag: str = ""
    last_modified: str = ""

    @property
    def headers(self) -> dict[str, str]:
        marks = {"if-none-match": self.etag, "if-modified-since": self.last_modified}
        return {name: value for name, value in marks.items() if value}


NO_MARKS = Marks()


@dataclass(frozen=True)
class Download:
    body: bytes
    marks: Marks = NO_MARKS


async def download(url: str, marks: Marks, reach: FeedReach, *, largest: int = LARGEST_BODY) -> Download | None:
    """What is there. None if it is still what the marks are of. Raises DownloadFailed."""
    if url.startswith("file:"):
        return await asyncio.to_thread(read_file, url, marks, reach, largest)
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            return await _follow(url, marks, reach, largest)
    except TimeoutError:
        raise DownloadFailed(f"It took longer than {LONGEST_SECONDS:.0f} s.") from None


async def _follow(url: str, marks: Marks, reach: FeedReach, largest: int) -> Download | None:
    for _ in range(MOST_REDIRECTS + 1):
        answer = await get(urlsplit(url), {"accept": "text/plain, */*;q=0.5", **marks.headers}, reach, largest=largest)
        if answer.status not in REDIRECTS:
            return _downloaded(answer, marks)
        url = _redirected(url, answer.headers.get("location", ""))
    raise DownloadFailed(f"It redirects more than {MOST_REDIRECTS} times.")


def _redirected(url: str, location: str) -> str:
    try:
        target = feed_url(urldefrag(urljoin(url, location)).url)
    except (PydanticCustomError, ValueError):
        target = ""
    if not location or not target.startswith("https:"):
        raise DownloadFailed("It redirects to something else than an https URL.")
    return target


def _downloaded(answer: Answer, marks: Marks) -> Download | None:
    if answer.status == 304 and marks.headers:
        return None
    if answer.status != 200:
        raise DownloadFailed(f"The server answers {answer.status}.")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise DownloadFailed("It is compressed, which was not asked for.")
    return Download(answer.body, Marks(_mark(answer, "etag", 500), _mark(answer, "last-modified", 100)))


def _mark(answer: Answer, name: str, longest: int) -> str:
    """Empty if it is too long to be kept: then it is not asked for either."""
    value = answer.headers.get(name, "")
    return value if len(value) <= longest and value.isascii() and value.isprintable() else ""


# Files


def read_file(url: str, marks: Marks, reach: FeedReach, largest: int = LARGEST_BODY) -> Download | None:
    """Below the directory of the settings alone, wherever links lead."""
    if reach.files is None:
        raise DownloadFailed("Files can’t be read: GUARDPANEL_FEED_FILES names no directory.")
    try:
        path = Path(unquote(urlsplit(url).path)).resolve(strict=True)
        if not path.is_relative_to(reach.files.resolve(strict=True)):
            raise DownloadFailed(f"Only files below {reach.files} can be read (GUARDPANEL_FEED_FILES).")
        return _read(path, marks, largest)
    except RuntimeError:  # Links in a circle, until Python 3.12.
        raise DownloadFailed("The file can’t be read: its links go in a circle.") from None
    except OSError as error:
        raise DownloadFailed(f"The file can’t be read: {error.strerror or error}.") from error


def _read(path: Path, marks: Marks, largest: int) -> Download | None:
    """Opened once, without waiting: a pipe would never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise DownloadFailed("This is not a regular file.")
        etag = f"{state.st_ino}-{state.st_size}-{state.st_mtime_ns}"
        if etag == marks.etag:
            return None
        body = file.read(largest + 1)
    if len(body) > largest:
        raise too_large(largest)
    return Download(body, Marks(etag))
