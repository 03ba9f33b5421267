"""Health checks. guardpanel's ask for a path by GET, and look at the status."""

import re

from guardpanel.services.importing.outcomes import Line
from guardpanel.services.importing.pool import Pool

OF_HOST = "It has the checks of its virtual host."

RSTATUS = re.compile(r"\^?([1-5])(?:\.\.|\[0-9\]\{2\}|\\d\\d).*")


def check(pool: Pool, line: Line) -> None:
    """`option httpchk`: an URI, or a method and one. The Host header may follow the version."""
    words = list(line.after(2))
    uri = words[1] if len(words) >= 2 else (words or ["/"])[0]
    remark = "asked for by GET" if (words[:1] and words[0] not in {"GET", uri}) or not words else ""
    if pool.is_path:
        pool.row.note(line, OF_HOST)
        return
    pool.row.put(line, "health_check_path", uri, remark)
    host = re.search(r"host:\s*([^\s\\]+)", " ".join(words[2:]), re.IGNORECASE)
    if host:
        pool.row.put(line, "health_check_host", re.sub(r":\d+$", "", host[1]))


def tcp_check(pool: Pool, line: Line) -> None:
    if any(each.keyword == "tcp-check" for each in pool.lines):
        pool.row.note(line, "guardpanel checks by HTTP.")
    else:
        pool.row.became(line, "health check")


def http_check(pool: Pool, line: Line) -> None:
    if pool.is_path:
        pool.row.note(line, OF_HOST)
    elif line.words[1:3] == ("expect", "status") and len(line.words) == 4:
        pool.row.put(line, "health_check_status", line.words[3])
    elif line.words[1:3] == ("expect", "rstatus") and (match := RSTATUS.fullmatch(" ".join(line.words[3:]))):
        pool.row.put(line, "health_check_status", f"{match[1]}00-{match[1]}99")
    elif line.words[1:2] == ("send",):
        _check_sent(pool, line)
    else:
        pool.row.note(line, "guardpanel checks the status alone.")


def _check_sent(pool: Pool, line: Line) -> None:
    """`http-check send meth GET uri /health ver HTTP/1.1 hdr Host shop.example`"""
    words, left = list(line.after(2)), []
    while words:
        name = words.pop(0)
        value = words.pop(0) if words else ""
        if name == "uri":
            pool.row.put(line, "health_check_path", value)
        elif name == "hdr" and value.lower() == "host" and words:
            pool.row.put(line, "health_check_host", re.sub(r":\d+$", "", words.pop(0)))
        elif name not in {"meth", "ver"} or (name == "meth" and value != "GET"):
            left.append(name)
    if left:
        pool.row.note(line, f"guardpanel has nothing for {', '.join(left)[:60]} in checks.")
    elif pool.row.ledger.kind(line) == "left":
        pool.row.became(line, "check path")
