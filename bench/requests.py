"""Requests for the benchmarks of the whole stack, byte for byte: harmless ones as browsers send them."""

import random

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "past",
    "a",
    "lazy",
    "dog",
    "when",
    "seven",
    "small",
    "birds",
    "sing",
    "of",
    "summer",
    "rain",
    "near",
    "apple",
    "trees",
    "behind",
    "our",
    "old",
    "house",
]
FORM = "application/x-www-form-urlencoded"
BROWSER = (
    "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\naccept-language: en-GB,en;q=0.5\r\n"
    "accept-encoding: gzip, deflate, br\r\ncookie: session=8f2b7c1d9e; theme=dark\r\n"
)


def request(
    host: str, kind: str = "", body: bytes = b"", path: str = "/catalogue/shoes?size=42", more: str = ""
) -> bytes:
    head = f"host: {host}\r\nreferer: https://{host}/\r\n{BROWSER}{more}"
    if not kind:
        return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()
    return f"POST {path} HTTP/1.1\r\n{head}content-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def text(length: int, seed: int = 1) -> str:
    chance = random.Random(seed)
    return " ".join(chance.choice(WORDS) for _ in range(length // 2))[:length]


def as_field(value: str) -> str:
    return value.replace(" ", "+")


def form(fields: int = 20) -> bytes:
    return "&".join(f"field{at}={as_field(text(44, at))}" for at in range(fields)).encode()


def json_items(items: int = 640) -> bytes:
    texts = [f'{{"id":{at},"title":"{text(60, at)}","price":{at}.5}}' for at in range(items)]
    return f'{{"items":[{",".join(texts)}]}}'.encode()


def upload(length: int = 1 << 20) -> tuple[str, bytes]:
    head = '--line\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    return "multipart/form-data; boundary=line", f"{head}{text(length)}\r\n--line--\r\n".encode()


def harmless(host: str) -> dict[str, bytes]:
    """By what the tables call them."""
    return {
        "GET": request(host),
        "form of 1 KB": request(host, FORM, form()),
        "text of 16 KB": request(host, FORM, b"text=" + as_field(text(16 << 10)).encode()),
        "JSON of 64 KB": request(host, "application/json", json_items()),
        "upload of 1 MB": request(host, *upload()),
    }
