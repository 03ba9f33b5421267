"""Why lines are not taken, whatever they say: guardpanel does the same itself, or does not do it."""

import re
from collections.abc import Mapping

from guardpanel.services.importing.outcomes import Line
from guardpanel.services.importing.quantities import refused

OWN_PROCESS = "guardpanel runs HAProxy itself."
OWN_LOG = "guardpanel writes its own log."
OWN_TIMES = "guardpanel sets this itself."
OWN_PAGES = "guardpanel has its own pages and metrics."
SETTING = "Where HAProxy listens is a setting: GUARDPANEL_HTTP_BIND and GUARDPANEL_HTTPS_BIND."

SECTIONS: Mapping[str, str] = {
    "global": OWN_PROCESS,
    "peers": "guardpanel has no peers.",
    "resolvers": "guardpanel resolves servers’ names by the system’s resolver.",
    "userlist": "Logins are entered on a virtual host’s page, with new passwords.",
    "mailers": "guardpanel sends no mail.",
    "program": "guardpanel starts no other programs.",
    "cache": "guardpanel has no cache.",
    "http-errors": "Error pages are made on their own page.",
    "ring": OWN_LOG,
    "log-forward": OWN_LOG,
    "log-profile": OWN_LOG,
    "traces": OWN_LOG,
    "fcgi-app": "guardpanel reaches servers by HTTP only.",
    "crt-store": "Certificates are uploaded on their own page.",
    "acme": "Certificates are ordered on their own page.",
}

KEYWORDS: Mapping[str, str] = {
    "log": OWN_LOG,
    "log-format": OWN_LOG,
    "log-format-sd": OWN_LOG,
    "log-tag": OWN_LOG,
    "error-log-format": OWN_LOG,
    "unique-id-format": OWN_LOG,
    "unique-id-header": "guardpanel sends X-Request-ID itself.",
    "capture": OWN_LOG,
    "declare": OWN_LOG,
    "http-request set-log-level": OWN_LOG,
    "http-request capture": OWN_LOG,
    "http-response capture": OWN_LOG,
    "option httplog": OWN_LOG,
    "option tcplog": OWN_LOG,
    "option dontlognull": OWN_LOG,
    "option dontlog-normal": OWN_LOG,
    "option log-health-checks": OWN_LOG,
    "option log-separate-errors": OWN_LOG,
    "option logasap": OWN_LOG,
    "option socket-stats": OWN_PAGES,
    "option contstats": OWN_PAGES,
    "stats": OWN_PAGES,
    "http-request use-service": OWN_PAGES,
    "mode": "All of guardpanel’s virtual hosts are HTTP.",
    "maxconn": "A connection limit for all is on the page Traffic.",
    "fullconn": OWN_TIMES,
    "backlog": OWN_TIMES,
    "timeout client": OWN_TIMES,
    "timeout clitimeout": OWN_TIMES,
    "timeout http-request": OWN_TIMES,
    "timeout http-keep-alive": OWN_TIMES,
    "timeout check": OWN_TIMES,
    "timeout client-fin": OWN_TIMES,
    "timeout server-fin": OWN_TIMES,
    "timeout tarpit": OWN_TIMES,
    "option http-server-close": OWN_TIMES,
    "option httpclose": OWN_TIMES,
    "option http-keep-alive": OWN_TIMES,
    "option forceclose": OWN_TIMES,
    "option http-tunnel": OWN_TIMES,
    "option http-buffer-request": OWN_TIMES,
    "option http-ignore-probes": OWN_TIMES,
    "option http-no-delay": OWN_TIMES,
    "option idle-close-on-response": OWN_TIMES,
    "option http-use-htx": OWN_TIMES,
    "option prefer-last-server": OWN_TIMES,
    "option tcpka": OWN_TIMES,
    "option clitcpka": OWN_TIMES,
    "option srvtcpka": OWN_TIMES,
    "option splice-auto": OWN_TIMES,
    "option splice-request": OWN_TIMES,
    "option splice-response": OWN_TIMES,
    "option abortonclose": OWN_TIMES,
    "option allbackups": "guardpanel’s backups take over one at a time.",
    "http-reuse": OWN_TIMES,
    "hash-type": OWN_TIMES,
    "bind-process": OWN_PROCESS,
    "description": OWN_PROCESS,
    "id": OWN_PROCESS,
    "enabled": OWN_PROCESS,
    "load-server-state-from-file": "guardpanel passes servers’ states on itself.",
    "server-state-file-name": "guardpanel passes servers’ states on itself.",
    "stick-table": "No limit that guardpanel has is counted in it.",
    "reqadd": "HAProxy no longer accepts this since 2.1.",
    "reqrep": "HAProxy no longer accepts this since 2.1.",
}

RATE = re.compile(r"_rate\(([^)]*)\)")
"The period of what a table counts."

NOT_HTTP = "It is in TCP mode. guardpanel serves HTTP."


def reason(line: Line) -> str:
    """Empty: it has to be looked at."""
    two = " ".join(line.words[:2])
    return (
        refused_time(line)
        or KEYWORDS.get(two, "")
        or (KEYWORDS.get(line.keyword, "") if line.keyword not in {"option", "timeout"} else "")
    )


def refused_time(line: Line) -> str:
    """What HAProxy says of a time in this line. Empty: nothing."""
    if line.keyword == "timeout":
        times = line.words[2:3]
    elif line.keyword == "stick-table":
        times = (*_after(line.words, "expire"), *RATE.findall(" ".join(line.words)))
    else:
        times = ()
    return next(filter(None, map(refused, times)), "")


def _after(words: tuple[str, ...], name: str) -> tuple[str, ...]:
    return words[words.index(name) + 1 :][:1] if name in words else ()
