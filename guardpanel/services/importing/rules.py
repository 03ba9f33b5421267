"""Rules of frontends and backends for requests and responses, as a virtual host has them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from guardpanel.services.importing import redirects
from guardpanel.services.importing.conditions import Condition, split_rule
from guardpanel.services.importing.hosts import Host, Row, Values, refusal
from guardpanel.services.importing.outcomes import UNKNOWN, Line
from guardpanel.services.importing.quantities import with_variables
from guardpanel.services.importing.reasons import reason
from guardpanel.services.importing.redirects import HTTPS_NOTE, WHOLE_HOST, Redirection

SENT_BY_US = frozenset({"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "x-request-id"})

STRIPPED = re.compile(r"%\[path,regsub\(\^(?P<path>/[\w./-]*?)/?(?:\\?/\?)?,/?\)\]")

REPLACED = re.compile(
    r"\^?(?P<path>/[\w.-]+(?:/[\w.-]+)*)(?:/\(\.\*\)\$? /\\1|\(/\)\?\(\.\*\)\$? /\\2|/\?\(\.\*\)\$? /\\1)"
)

CLOSES = re.compile(r"auth|return|lua\..*|wait-for-handshake")
"Actions of rules that may refuse requests."


@dataclass(frozen=True)
class Ruling:
    """A rule that a virtual host gets, with what its hostname leaves open of the condition."""

    row: Row
    host: Host
    line: Line
    words: tuple[str, ...]
    condition: Condition

    def note(self, why: str) -> None:
        self.row.note(self.line, why)

    def close(self, why: str) -> None:
        """What it redirects was not served, perhaps for a reason."""
        self.host.close(self.line, why)


Handler = Callable[[Ruling], None]


def apply(row: Row, host: Host, line: Line, condition: Condition) -> None:
    """`row`: the host, or a path of it whose backend has the rule."""
    ruling = Ruling(row, host, line, split_rule(line.words)[0], condition)
    handler = HANDLERS.get(" ".join(ruling.words[:2])) or HANDLERS.get(line.keyword)
    if handler is not None:
        handler(ruling)
    elif line.words[1:2] and CLOSES.fullmatch(line.words[1]):
        host.close(line, f"It may keep visitors out. {UNKNOWN}")
    elif why := reason(line):
        host.ledger.left(line, why)
    else:
        ruling.note(UNKNOWN)


def _header(ruling: Ruling) -> None:
    words = ruling.words
    name, text = (words[2] if len(words) > 2 else ""), " ".join(words[3:])
    if words[0] == "http-request" and name.lower() in SENT_BY_US and not words[1].startswith("del"):
        ruling.row.became(ruling.line, f"{name}, which guardpanel sends to servers")
    elif not ruling.condition.is_always:
        ruling.note(f"Header rules have no conditions: {ruling.condition.why_not}")
    elif name.lower() == "host" and words[:2] == ("http-request", "set-header"):
        ruling.row.put(ruling.line, "server_host", text)
    elif ruling.row is not ruling.host:
        ruling.note("Header rules are for a whole virtual host.")
    else:
        _header_rule(ruling, name, text)


def _header_rule(ruling: Ruling, name: str, text: str) -> None:
    direction, action = ruling.words[0].removeprefix("http-"), ruling.words[1].removesuffix("-header")
    value = with_variables(text)
    if value is None:
        ruling.note("guardpanel has no variable for a part of this value.")
        return
    values: Values = {
        "direction": direction,
        "action": "remove" if action == "del" else action,
        "header": name,
        "value": value,
    }
    values["position"] = 100 + len(ruling.host.headers)
    if why := refusal("header_rule", values):
        ruling.note(why)
    else:
        ruling.host.headers.append(values)
        ruling.row.became(ruling.line, "header rule")


def _redirect(ruling: Ruling) -> None:
    redirect, host, is_of_host = redirects.read(ruling.line), ruling.host, ruling.row is ruling.host
    if ruling.line.number in host.redirects:
        return
    if ruling.line.number in host.overtaken:
        host.ledger.left(ruling.line, "An earlier line redirects everything.")
    elif redirect.is_to_https or (
        ruling.condition.is_always and redirect.is_https and redirects.leads_home(host, redirect)
    ):
        ruling.note(HTTPS_NOTE)
    elif not ruling.condition.paths:
        ruling.close(_why_not(ruling, redirect))
    elif not is_of_host or redirect.why_not:
        ruling.close(redirect.why_not or redirects.FIXED)
    else:
        for how, path in ruling.condition.paths:
            _redirect_path(ruling, redirect, how, path)


def _why_not(ruling: Ruling, redirect: Redirection) -> str:
    if not ruling.condition.is_always:
        return ruling.condition.why_not
    if ruling.row is not ruling.host:
        return f"It redirects {ruling.row.where}: set Redirect there, then enable the virtual host."
    leads_back = redirects.LEADS_BACK if redirects.leads_home(ruling.host, redirect) else ""
    return redirect.not_of_host or leads_back or WHOLE_HOST


def _redirect_path(ruling: Ruling, redirect: Redirection, how: str, path: str) -> None:
    values: Values = {"path_match": how, "path": path, **redirect.of_path(path)}
    if why := refusal("path_binding", values):
        ruling.close(why)
    elif ruling.host.path(how, path) is not None:
        ruling.close(f"{path} has another rule.")
    else:
        ruling.host.paths.append(values)
        ruling.row.became(ruling.line, f"redirect of {path}{ruling.condition.narrower(how, path)}")


def _path(ruling: Ruling) -> None:
    """Where a path's beginning is left out for its servers."""
    pattern = STRIPPED if ruling.words[1] == "set-path" else REPLACED
    match = pattern.fullmatch(" ".join(ruling.words[2:]))
    own = ruling.row.values.get("path")
    if match and ruling.condition.is_always and own is not None and match["path"] == own:
        ruling.row.put(ruling.line, "server_path", "/")
    elif match and ruling.row is ruling.host and (binding := ruling.host.path("below", match["path"])) is not None:
        binding["server_path"] = "/"
        ruling.row.became(ruling.line, f"path sent to servers for {match['path']}")
    else:
        ruling.note("guardpanel changes the beginning of a path alone.")


HANDLERS: Mapping[str, Handler] = {
    **{
        f"http-{direction} {verb}-header": _header
        for direction in ("request", "response")
        for verb in ("set", "add", "del")
    },
    "http-request redirect": _redirect,
    "redirect": _redirect,
    "http-request set-path": _path,
    "http-request replace-path": _path,
}
