"""A curl command line as the request that curl would send."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote_plus

HEADERS = {"-A": "User-Agent", "--user-agent": "User-Agent", "-e": "Referer", "--referer": "Referer"}
DATA = {"-d", "--data", "--data-ascii", "--data-raw", "--data-binary", "--data-urlencode", "--json"}
WITH_VALUE = {"-X", "--request", "-H", "--header", "-u", "--user", "-b", "--cookie", "--url", *HEADERS, *DATA}
IGNORED = {
    "-s", "--silent", "-S", "--show-error", "-k", "--insecure", "-L", "--location", "-i", "--include", "-v", "--verbose", "-g",
    "--globoff", "--http1.1", "--http2", "--http1.0", "-f", "--fail", "-N", "--no-buffer", "-4", "-6", "--path-as-is",
}  # fmt: skip
IGNORED_WITH_VALUE = {
    "-o",
    "--output",
    "-m",
    "--max-time",
    "--connect-timeout",
    "-w",
    "--write-out",
    "--resolve",
    "-x",
    "--proxy",
}
FORMS = {"-F", "--form", "--form-string"}

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


class NotCurl(ValueError):
    """What to change about a command, as a sentence."""


@dataclass
class _Command:
    url: str = ""
    method: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    is_json: bool = False
    is_get: bool = False
    is_head: bool = False
    is_compressed: bool = False


Sent = tuple[str, str, list[tuple[str, str]], bytes]
"Method, URL, headers and body."


def read_curl(text: str) -> Sent:
    """Raises NotCurl for what curl would refuse, and for what needs files."""
    command = _Command()
    words = iter(list(split(text))[1:])
    for word in words:
        _take(command, word, words)
    if not command.url:
        raise NotCurl("The command has no URL.")
    return _request(command)


def split(text: str) -> Iterator[str]:
    """Words as a shell divides them: quotes of three kinds, and lines that go on after a backslash."""
    word, quoted, at = "", False, 0
    while at < len(text):
        sign = text[at]
        if sign.isspace():
            if word or quoted:
                yield word
            word, quoted, at = "", False, at + 1
        elif sign in "'\"" or text.startswith("$'", at):
            part, at = _quoted(text, at)
            word, quoted = word + part, True
        elif sign == "\\":
            word += "" if text[at + 1 : at + 2] == "\n" else text[at + 1 : at + 2]
            at += 2
        elif sign in ";|&<>`":
            raise NotCurl(f"Remove {sign} and what follows, or put it between quotes.")
        else:
            word, at = word + sign, at + 1
    if word or quoted:
        yield word


def _quoted(text: str, at: int) -> tuple[str, int]:
    kind = "$'" if text[at] == "$" else text[at]
    at += len(kind)
    part = ""
    while at < len(text):
        sign = text[at]
        if sign == kind[-1]:
            return _whole(part), at + 1
        if sign == "\\" and kind != "'":
            escaped, at = _escape(text, at) if kind == "$'" else _in_double(text, at)
            part += escaped
        else:
            part, at = part + sign, at + 1
    raise NotCurl(f"A {kind} is not closed.")


def _whole(text: str) -> str:
    """With one character for each pair of surrogates: Chrome copies 😀 as `\\ud83d\\ude00`."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise NotCurl("A \\u escape is half a character.") from None


def _in_double(text: str, at: int) -> tuple[str, int]:
    after = text[at + 1 : at + 2]
    return ("" if after == "\n" else after if after and after in '"\\$`' else f"\\{after}"), at + 2


def _escape(text: str, at: int) -> tuple[str, int]:
    """Of $'…': `\\n`, `\\x41`, `\\u00e9`."""
    number = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8}))").match(text, at)
    if number:
        return chr(min(int(next(filter(None, number.groups())), 16), 0x10FFFF)), number.end()
    after = text[at + 1 : at + 2]
    return ESCAPES.get(after, after), at + 2


def _take(command: _Command, word: str, words: Iterator[str]) -> None:
    if not word.startswith("-") or word == "-":
        command.url = word
        return
    if word.startswith("--"):
        _option(command, word, words)
        return
    for at in range(1, len(word)):  # -sXPOST
        name, rest = f"-{word[at]}", word[at + 1 :]
        if name in WITH_VALUE | IGNORED_WITH_VALUE | FORMS:
            _option(command, name, iter([rest]) if rest else words)
            return
        _option(command, name, words)


def _option(command: _Command, name: str, words: Iterator[str]) -> None:
    if name in FORMS:
        raise NotCurl(f"{name} is not supported. Paste the raw request with its multipart body.")
    if name in {"-G", "--get"}:
        command.is_get = True
    elif name in {"-I", "--head"}:
        command.is_head = True
    elif name == "--compressed":
        command.is_compressed = True
    elif name in WITH_VALUE | IGNORED_WITH_VALUE:
        value = next(words, None)
        if value is None:
            raise NotCurl(f"{name} needs a value.")
        _value(command, name, value)
    elif name not in IGNORED:
        raise NotCurl(f"{name[:40]} is not supported. Remove it, or paste the raw request.")


def _value(command: _Command, name: str, value: str) -> None:
    if name in DATA:
        command.data.append(_data(name, value))
        command.is_json |= name == "--json"
    elif name in {"-X", "--request"}:
        command.method = value
    elif name in {"-H", "--header"}:
        command.headers.append(_header(value))
    elif name in HEADERS:
        command.headers.append((HEADERS[name], value))
    elif name in {"-u", "--user"}:
        command.headers.append(("Authorization", f"Basic {base64.b64encode(value.encode()).decode()}"))
    elif name in {"-b", "--cookie"}:
        if "=" not in value:
            raise NotCurl("Name cookies with their values: -b 'a=1; b=2'.")
        command.headers.append(("Cookie", value))
    elif name == "--url":
        command.url = value


def _header(text: str) -> tuple[str, str]:
    name, sign, value = text.partition(":")
    if not sign and text.endswith(";"):
        return text[:-1].strip(), ""
    if not sign or not name.strip() or re.search(r"[\r\n]", text):
        raise NotCurl(f"{text[:60]} is not a header.")
    return name.strip(), value.strip()


def _data(name: str, value: str) -> str:
    if value.startswith("@") and name != "--data-raw":
        raise NotCurl("guardpanel can’t read files. Paste what the file contains.")
    if name != "--data-urlencode":
        return value
    if "@" in value and "=" not in value:
        raise NotCurl("guardpanel can’t read files. Paste what the file contains.")
    key, sign, content = value.partition("=")
    return f"{key}{'=' * bool(key)}{quote_plus(content)}" if sign else quote_plus(value)


def _request(command: _Command) -> Sent:
    body = ("" if command.is_json else "&").join(command.data)
    url = command.url if "://" in command.url else f"http://{command.url}"
    if command.is_get and body:
        url, body = f"{url}{'&' if '?' in url else '?'}{body}", ""
    has_body = bool(command.data) and not command.is_get
    method = command.method or ("HEAD" if command.is_head else "POST" if has_body else "GET")
    defaults = [("User-Agent", "curl/8.5.0"), ("Accept", "application/json" if command.is_json else "*/*")]
    if has_body:
        kind = "application/json" if command.is_json else "application/x-www-form-urlencoded"
        defaults.append(("Content-Type", kind))
    if command.is_compressed:
        defaults.append(("Accept-Encoding", "deflate, gzip, br, zstd"))
    named = {name.lower() for name, _ in command.headers}
    headers = [(name, value) for name, value in defaults if name.lower() not in named] + command.headers
    if re.search(r"[\s]", url):
        raise NotCurl("Encode spaces in the URL: %20.")
    return method, url, headers, body.encode("utf-8", "surrogateescape")
