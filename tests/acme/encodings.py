"""A secret in every form in which a program’s error may quote it."""

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus


def encodings_of(secret: str) -> dict[str, str]:
    """By their name."""
    in_json, in_url = json.dumps(secret), quote(secret, safe="")
    units = re.findall("....", secret.encode("utf-16-be").hex())
    basic = {f"after {user!r}": b64encode(f"{user}:{secret}!".encode()).decode() for user in ("", "a", "ab", "abc")}
    return {
        "plain": secret, "JSON": in_json, "JSON as is": json.dumps(secret, ensure_ascii=False), "JSON in JSON": json.dumps(in_json),
        "escaped /": in_json.replace("/", "\\/"), "escaped all": "".join(f"\\u{unit.upper()}" for unit in units),
        "URL": in_url, "URL with /": quote(secret), "form": quote_plus(secret), "URL in URL": quote(in_url, safe=""),
        "lower case": re.sub("%..", lambda found: found[0].lower(), in_url), "all of it": "".join(f"%{byte:02X}" for byte in secret.encode()),
        "HTML": html.escape(secret), "bytes": repr(secret.encode()), "repr": repr(secret), "hex": secret.encode().hex().upper(),
        "for URLs": urlsafe_b64encode(secret.encode()).decode(), "in a URL": quote(b64encode(secret.encode()).decode(), safe=""), **basic,
    }  # fmt: skip
