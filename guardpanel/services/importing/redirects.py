"""`redirect` rules: where they lead, what of that a virtual host can have, and which of them are too late."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from guardpanel.services.importing.conditions import REST, covers, split_rule, wildcard_of
from guardpanel.services.importing.hosts import Host, Values, refusal
from guardpanel.services.importing.outcomes import Line

HTTPS_NOTE = "Upload the certificate, and turn on HTTPS with its redirect."

WHOLE_HOST = "It redirects everything: set Redirect on the virtual host, then enable it."

LEADS_BACK = "It leads every request back to this virtual host."

FIXED = "guardpanel’s redirects have a fixed target, and keep the rest of the path or drop it."

KNOWN = frozenset({"location", "prefix", "code"})

CODES = frozenset({"301", "302", "307", "308"})

SAME_REQUEST = re.compile(r"(?P<target>[^%]+)%\[(?:capture\.req\.uri|pathq)\]")
"A location with the path and the query, as a prefix has them."

TO_HTTPS = re.compile(
    r"https://%\[(?:req\.)?f?hdr\(host\)(?:,(?:lower|host_only|field\(1,:\)))*\]"
    r"(?:%\[(?:capture\.req\.uri|pathq|url|path)\](?:\??%\[query\])?)?"
)
"The hostname of the request, over HTTPS."


@dataclass(frozen=True)
class Redirection:
    """What a rule says. `target`: as HAProxy has it, before the path if that is kept."""

    code: str = "302"
    target: str = ""
    keeps: bool = False
    is_to_https: bool = False
    why_not: str = ""

    @property
    def site(self) -> str:
        """The hostname that it names."""
        try:
            return (urlsplit(self.target).hostname or "").lower()
        except ValueError:
            return ""

    @property
    def is_https(self) -> bool:
        return self.target.lower().startswith("https://")

    @property
    def of_host(self) -> Values:
        """The fields of a virtual host. Its target loses a final slash before the path: HAProxy does not leave one out."""
        target = f"{self.target}/" if self.keeps and self.target.endswith("/") else self.target
        return {"redirect": self.code, "redirect_to": target, "redirect_rest": self.keeps}

    def of_path(self, path: str) -> Values:
        """The fields of a path binding."""
        target = self.target + path if self.keeps else self.target
        return {"redirect": self.code, "redirect_to": target, "redirect_rest": self.keeps}

    @property
    def not_of_host(self) -> str:
        """Why no virtual host can have it. Empty: it can."""
        if self.why_not or self.is_to_https:
            return self.why_not or HTTPS_NOTE
        if self.target.startswith("/"):
            return LEADS_BACK
        return refusal("virtual_host", self.of_host)

    def leads_back(self, hostname: str, names: Iterable[str]) -> bool:
        """Whether it leads to this hostname. A wildcard is for what no other name is for."""
        known = {*names} - {hostname}
        return hostname != REST and self.site not in known and hostname in {self.site, wildcard_of(self.site)}

    def leads_to(self, hostnames: Iterable[str]) -> bool:
        return bool(self.site) and covers([*hostnames], self.site)


def leads_home(host: Host, redirect: Redirection) -> bool:
    """Whether it leads to the same virtual host. What serves every hostname also serves the target's, if that is over TLS."""
    return redirect.leads_to(host.hostnames) or (host.hostname == REST and redirect.is_https and host.has_tls)


def is_redirect(line: Line) -> bool:
    return line.keyword == "redirect" or line.words[:2] == ("http-request", "redirect")


def in_order(lines: Iterable[Line]) -> list[Line]:
    """As HAProxy evaluates them: those of `http-request` first."""
    return sorted(filter(is_redirect, lines), key=lambda line: line.keyword == "redirect")


def read(line: Line) -> Redirection:
    words = split_rule(line.words)[0][1 if line.keyword == "redirect" else 2 :]
    options = dict(zip(words[::2], words[1::2], strict=False))
    target = options.get("prefix", options.get("location", ""))
    if options.get("scheme") == "https" or TO_HTTPS.fullmatch(target):
        return Redirection(target=target, is_to_https=True)
    match = SAME_REQUEST.fullmatch(target) if "location" in options else None
    keeps, target = ("prefix" in options or match is not None), (match["target"] if match else target)
    code = options.get("code", "302")
    if len(words) % 2 or not target or "%" in target or not options.keys() <= KNOWN:
        why_not = FIXED
    elif code not in CODES:
        why_not = f"guardpanel has no redirect with status {code[:20]}."
    elif keeps and target == "/":
        why_not = "It leads back to where it was."
    else:
        why_not = ""
    return Redirection(code, target, keeps, why_not=why_not)
