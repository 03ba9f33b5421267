"""Request headers from which servers commonly read the client's identity, scheme or target.

Regular expressions for HAProxy over header names, which it keeps in lower case. Any character may separate the words of a name:
some servers read everything but letters and digits as `_` (CGI, RFC 3875 §4.1.18, and therefore lighttpd, PHP, WSGI).
"""

import re

ANY = "[^a-z0-9]?"

ANYWHERE = "forwarded"
"Forwarded (RFC 7239), X-Forwarded-For, X-Original-Forwarded-For, CloudFront-Forwarded-Proto …"

ENDS = (
    "(client|real|remote|connecting|connection|source|src|user|visitor|viewer|originating|external)"
    f"{ANY}(ip|addr|address)(v?[46])?"
)
"X-Real-IP, Client-IP, True-Client-IP, CF-Connecting-IPv6, X-ProxyUser-Ip, X-Remote-Addr …"

WHOLE = "|".join((
    f"x{ANY}(url{ANY})?(scheme|proto|protocol|ssl|https)",
    f"front{ANY}end{ANY}https",
    f"cf{ANY}(visitor|pseudo{ANY}ipv4)",
    f"x{ANY}(http{ANY})?host({ANY}override)?",
    f"x{ANY}(original|rewrite){ANY}(url|uri|host)",
))  # fmt: skip

OURS = "|".join((
    f"x{ANY}(request{ANY}id|waf[^a-z0-9])",
    f"(x{ANY})?((ssl|tls){ANY}(client|cert)|client{ANY}(cert|verify|dn([^a-z0-9]|$))|arr{ANY}client{ANY}cert|amzn{ANY}mtls)",
))  # fmt: skip
"""Names and prefixes that only guardpanel sets. Client certificates: Client-Cert (RFC 9440), X-SSL-Client-Subject, and what other
proxies call them, such as SSL-Client-Verify, X-SSL-Cert, X-ARR-ClientCert, X-Amzn-Mtls-Clientcert."""

FORGED = f"{ANYWHERE}|({ENDS})$|^({WHOLE})$|^({OURS})"
"Matches one name."

ANY_FORGED = f"{ANYWHERE}|({ENDS})(,|$)|(^|,)({WHOLE})(,|$)|(^|,)({OURS})"
"Matches within all names of a request, separated by commas: evaluated once, instead of FORGED for each header."


def any_spelling(name: str) -> str:
    """Matches an operator's header: servers may read `x_edge` as `x-edge`."""
    return f"^{name.replace('-', ANY)}$"


def spellings(name: str) -> str | None:
    """Matches every name that servers with CGI variables read as this one (`X_User` as `X-User`). None if there is one only."""
    pattern = re.sub("[-_.]", "[^a-z0-9]", name.lower())
    return f"^{pattern}$" if pattern != name.lower() else None
