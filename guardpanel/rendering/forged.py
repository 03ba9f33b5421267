"""Headers by which servers commonly take a client's word for who it is, how it came and what it asked for.

Regular expressions for HAProxy over header names, which it keeps in lower case. Between the words of a name may stand any
character: some servers read each but letters and digits as `_` (CGI, RFC 3875 §4.1.18, and lighttpd, PHP, WSGI after it).
"""

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

OURS = f"x{ANY}(request{ANY}id|waf[^a-z0-9])"
"Names, and beginnings of names, that only we give."

FORGED = f"{ANYWHERE}|({ENDS})$|^({WHOLE})$|^{OURS}"
"One name."

ANY_FORGED = f"{ANYWHERE}|({ENDS})(,|$)|(^|,)({WHOLE})(,|$)|(^|,){OURS}"
"The same in all names of a request, with commas between them: asked once, where FORGED would be asked of each header."


def any_spelling(name: str) -> str:
    """Of a header that an operator names: servers may read `x_edge` as `x-edge`."""
    return f"^{name.replace('-', ANY)}$"
