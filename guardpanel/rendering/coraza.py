"""The WAF agent's applications: one per distinct effective policy, named after its own text."""

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from urllib.parse import quote

from pydantic import BaseModel

from guardpanel import readable_yaml
from guardpanel.bundle import Application
from guardpanel.kept import Kept
from guardpanel.models.policies.content_types import ReadAs, narrowness, readings
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.policy import KIB
from guardpanel.models.policies.restrictions import CHECKED_FROM_LEVEL_2
from guardpanel.rendering.body_readings import FOREIGN_PROCESSORS, PROCESSORS
from guardpanel.rendering.facts import EngineFacts
from guardpanel.rendering.policy import PolicyState
from guardpanel.rendering.state import DesiredState
from guardpanel.rendering.templates import template
from guardpanel.rendering.tokens import split_origins
from guardpanel.rendering.tuning import UNTUNED, Tuning
from guardpanel.rendering.virtual_host import VirtualHostState

TRANSACTION_TTL_MS = 90_000
"""Milliseconds for which the agent keeps a request's transaction for its response: HAProxy's connect and server timeouts, with a
margin."""

MOST_KEPT_CHARACTERS = 16_000_000
"Characters: of hundreds of ordinary policies, and of dozens with hundreds of rules."

_APPLICATIONS: Kept[Application] = Kept(MOST_KEPT_CHARACTERS, lambda app: len(app.directives))

_ENTRIES: Kept[str] = Kept(MOST_KEPT_CHARACTERS, len)
"By the text and the response check, from which the name follows."

Effective = tuple[int, EnforcementMode, int]
"Policy, mode, and the virtual host if it has exclusions of its own (else 0)."


def applications(state: DesiredState) -> tuple[dict[Effective, str], tuple[Application, ...]]:
    """The application of each effective policy, without duplicates. Every policy is included in its own mode even if nothing is
    bound to it, so that its rules are checked when they are saved and not when they are first used."""
    keys = {(policy.id, policy.enforcement_mode, 0) for policy in state.policies.values()}
    keys |= {key for _, host, _ in state.bound if (key := effective(state, host))}
    names: dict[Effective, str] = {}
    distinct: dict[str, Application] = {}
    for policy_id, mode, host_id in sorted(keys):
        if mode is EnforcementMode.OFF:
            continue
        policy, tuning = state.policies[policy_id], state.tuning.of(policy_id, host_id)
        app = application(policy, mode, tuning, foreign=state.facts.small_frames)
        names[policy_id, mode, host_id] = app.name
        before = distinct.get(app.name)
        if before is not None:
            app = Application(
                name=app.name,
                directives=app.directives,
                response_check=app.response_check,
                blocks=app.blocks,
                policy_ids=tuple(sorted({*before.policy_ids, policy_id})),
                origins=before.origins,
            )
        distinct[app.name] = app
    return names, tuple(distinct[name] for name in sorted(distinct))


def effective(state: DesiredState, host: VirtualHostState) -> Effective | None:
    """The application that inspects a virtual host's requests. None without a policy."""
    policy, mode = state.effective(host)
    if policy is None:
        return None
    return policy.id, mode, host.id if (policy.id, host.id) in state.with_own else 0


def application(policy: PolicyState, mode: EnforcementMode, tuning: Tuning = UNTUNED, *, foreign: bool) -> Application:
    """Kept: a save changes one policy at most."""
    key = content(policy), mode, tuple(tuple(map(content, rows)) for rows in tuning), foreign
    return _APPLICATIONS.get(key, lambda: _application(policy, mode, tuning, foreign=foreign))


def content(row: BaseModel) -> Hashable:
    """Every field, by name."""
    return tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in row.__dict__.items())


def _application(policy: PolicyState, mode: EnforcementMode, tuning: Tuning, *, foreign: bool) -> Application:
    processors = FOREIGN_PROCESSORS if foreign else PROCESSORS
    text, origins = split_origins(
        template("coraza/application.conf.j2").render(
            policy=policy,
            blocks=mode is EnforcementMode.BLOCK,
            **tuning.rendered(policy.blocking_paranoia_level, processors),
            reads=list(reads(policy.content_type_readings, processors)),
            **restrictions(policy),
            crs_limits=[*crs_limits(policy)],
            type_patterns=[kind for kind in policy.allowed_content_types if "*" in kind],
        )
    )
    digest = hashlib.sha256(f"{policy.response_inspection}\n{text}".encode()).hexdigest()
    return Application(
        name=f"p{digest[:12]}",
        directives=text,
        response_check=policy.response_inspection,
        blocks=mode is EnforcementMode.BLOCK,
        policy_ids=(policy.id,),
        origins=origins,
    )


def restrictions(policy: PolicyState) -> dict[str, Iterable[str]]:
    """What a policy's lists are as CRS compares them: two lists of headers, and the names that versions of HTTP go by."""
    headers = policy.restricted_headers
    return {
        "basic_headers": [name for name in headers if name not in CHECKED_FROM_LEVEL_2],
        "extended_headers": [name for name in headers if name in CHECKED_FROM_LEVEL_2],
        "http_versions": [
            f"HTTP/{version}{minor}"
            for version in policy.allowed_http_versions
            for minor in (["", ".0"] if "." not in version else [""])
        ],
    }


CRS_LIMITS = (
    ("arg_name_length", "argument_name_length", 1),
    ("arg_length", "argument_length", 1),
    ("total_arg_length", "total_argument_length", 1),
    ("max_file_size", "upload_kib", KIB),
    ("combined_file_sizes", "files_kib", KIB),
)
"What CRS calls a field's limit, and how many bytes one of the field is. Its max_num_args is our own argument limit."


def crs_limits(policy: PolicyState) -> Iterator[tuple[str, str, int]]:
    """Those that a policy sets, in bytes: without the variable the rule does not run."""
    for name, field, unit in CRS_LIMITS:
        most = getattr(policy, field)
        if most is not None:
            yield name, field, most * unit


def reads(entries: Iterable[str], processors: Mapping[ReadAs, str]) -> Iterator[tuple[list[str], str]]:
    """Patterns of content types and what has the engine read them so, the widest first: the last that matches holds."""
    for (_, how), group in groupby(readings(entries), key=lambda each: (narrowness(each[0]), each[1])):
        if how in processors:
            yield [pattern for pattern, _ in group], processors[how]


def agent_configuration(facts: EngineFacts, applications: Iterable[Application]) -> bytes:
    """coraza-spoa's YAML, strict: unknown keys are errors."""
    head = {
        "bind": f"unix://{quote(facts.agent_socket)}",
        "log_level": "warn",
        "log_file": "/dev/stderr",
        "log_format": "json",
    }
    entries = "".join(_ENTRIES.get((app.directives, app.response_check), partial(_entry, app)) for app in applications)
    return f"{_written(head)}applications:{chr(10) + entries if entries else f' []{chr(10)}'}".encode("ascii")


def _entry(app: Application) -> str:
    """An application's list item."""
    return _written(
        [
            {
                "name": app.name,
                "directives": app.directives,
                "response_check": app.response_check,
                "transaction_ttl_ms": TRANSACTION_TTL_MS,
                "log_level": "warn",
                "log_file": "/dev/stderr",
                "log_format": "json",
            }
        ]
    )


def _written(document: object) -> str:
    """Written by a library and read back: text can never become keys."""
    text = readable_yaml.written(document)
    if readable_yaml.read(text) != document:
        raise ValueError("the agent's configuration does not read back as it was written")
    return text
