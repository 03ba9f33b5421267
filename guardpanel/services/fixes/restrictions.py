"""What a policy restricts for every request: a header, a file extension, a charset or a version of HTTP is taken off its list, or
added to it, and a length is raised. Wider than an exclusion for one path, and right where the application uses it everywhere."""

from collections.abc import Callable, Mapping
from typing import Any

from guardpanel.models.policies.restrictions import HTTP_VERSIONS, READABLE_CHARSETS
from guardpanel.models.rules.rule_exclusion import Target
from guardpanel.services.fixes.blame import Blame
from guardpanel.services.fixes.requests import Request

KIB = 1024

Policy = Mapping[str, Any]
Cure = Callable[[Policy, Request, Blame], Policy]
"The changed fields of the policy; none where it has no cure for that."


def _headers(policy: Policy, _request: Request, blame: Blame) -> Policy:
    names = {field.name.lower() for field in blame.fields if field.target is Target.HEADER_NAME}
    return _without(policy, "restricted_headers", names)


def _extension(policy: Policy, request: Request, _blame: Blame) -> Policy:
    extension = request.path.rpartition("/")[2].rpartition(".")[2]
    return _without(policy, "restricted_extensions", {f".{extension.lower()}"})


def _without(policy: Policy, name: str, entries: set[str]) -> Policy:
    kept = [entry for entry in policy[name] if entry not in entries]
    return {name: kept} if len(kept) < len(policy[name]) else {}


def _charset(policy: Policy, request: Request, _blame: Blame) -> Policy:
    charset = request.charset
    if charset not in READABLE_CHARSETS or charset in policy["allowed_charsets"]:
        return {}
    return {"allowed_charsets": [*policy["allowed_charsets"], charset]}


def _version(policy: Policy, request: Request, _blame: Blame) -> Policy:
    version = request.version.removesuffix(".0") if request.version in {"2.0", "3.0"} else request.version
    if version not in HTTP_VERSIONS or version in policy["allowed_http_versions"]:
        return {}
    return {"allowed_http_versions": [*policy["allowed_http_versions"], version]}


def _length(name: str, step: int, unit: int = 1) -> Cure:
    """What the rule measured, rounded up. The total is at least as long as one argument may be."""

    def cure(policy: Policy, _request: Request, blame: Blame) -> Policy:
        measured = blame.rule.matches[-1].value if blame.rule.matches else ""
        if not measured.isascii() or not measured.isdigit() or policy[name] is None:
            return {}
        needed = -(-int(measured) // (step * unit)) * step
        total = policy["total_argument_length"]
        if name == "argument_length" and total is not None and total < needed:
            return {name: needed, "total_argument_length": needed}
        return {name: needed} if needed > policy[name] else {}

    return cure


CURES: Mapping[int, Cure] = {
    920360: _length("argument_name_length", 10),
    920370: _length("argument_length", 100),
    920390: _length("total_argument_length", 100),
    920400: _length("upload_kib", 1, KIB),
    920410: _length("files_kib", 1, KIB),
    920430: _version,
    920440: _extension,
    920450: _headers,
    920451: _headers,
    920480: _charset,
}
"By rule."

FIELDS = frozenset(
    {
        "allowed_charsets", "allowed_http_versions", "restricted_headers", "restricted_extensions", "argument_name_length",
        "argument_length", "total_argument_length", "upload_kib", "files_kib",
    }
)  # fmt: skip
