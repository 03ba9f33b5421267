"""Each test as bytes to HAProxy, configured by the panel's own rendering; what fired is read off the answer."""

import base64
import concurrent.futures
import contextlib
import dataclasses
import http.client
import json
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from guardpanel import readable_yaml
from guardpanel.bundle import Bundle
from guardpanel.rendering import Rows
from tests.crs.server import reflected, server
from tests.crs.suite import Stage
from tests.live.stack import Stack
from tests.rows import SECRET, rows

HOSTS = """
localhost 127.0.0.1 1.2.3.4 [::1] [fe80::f1:01:fe01:1] example.com app.example.com api.example.com deadbeef.de myapp.com
koaapp.com webapp.com phpapp.com nextjs.example javaapp.com coldapp.com nodeapp.io flaskapp.com nextjs-app.com meteorapp.com
rubyapp.com playapp.com sailsapp.com cakeapp.com ciapp.com cfapp.com zendapp.com shinyapp.com weblogicapp.com aspapp.com
genericapp.com railsapp.com
"""
"Every Host that a test names; the map takes them all, also those that are no hostnames for the form."

SETUP = (
    'SecAction "id:900005,phase:1,pass,nolog,t:none,setvar:tx.crs_validate_utf8_encoding=1,'
    "setvar:tx.arg_name_length=100,setvar:tx.arg_length=400,setvar:tx.total_arg_length=64000,"
    'setvar:tx.max_num_args=255,setvar:tx.max_file_size=64100,setvar:tx.combined_file_sizes=65535"\n'
)
"The limits that the tests are written for (tests/regression/README.md of the rule set); a policy sets none of them."

CONTENT_TYPES = [
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/xml",
    "application/xml",
    "application/soap+xml",
    "application/json",
]
"The rule set's own; a policy allows more."

BODY_REFUSED = 200002
"Coraza's rule for bodies that its parsers refuse."
REPORTING = 980
"RESPONSE-980-CORRELATION: rules of phase 5."

EVALUATIONS = threading.Semaphore(2)
"As many as the agent takes at once."

INCLUDE = "Include @owasp_crs/*.conf"


class CrsStack(Stack):
    """One virtual host under every name, one policy: detect everything, also in answers."""

    def publish(self, rows: Rows) -> Bundle:
        bundle = super().publish(rows)
        names = self.folder / "current" / "hosts.map"
        host = names.read_text().split()[1]
        names.write_text("".join(f"{name} {host}\n" for name in HOSTS.split()))
        file = self.folder / "coraza.yaml"
        agent = readable_yaml.read(file.read_text())
        for application in agent["applications"]:
            application["directives"] = application["directives"].replace(INCLUDE, SETUP + INCLUDE)
        file.write_text(readable_yaml.written(agent))
        return bundle

    @property
    def application(self) -> str:
        return next(name for name in self.applications if name != "probe")


@contextlib.contextmanager
def stack(haproxy: str) -> Iterator[CrsStack]:
    policy = {
        "enforcement_mode": "detect_only",
        "blocking_paranoia_level": 4,
        "detection_paranoia_level": 4,
        "response_inspection": True,
        "body_limit_kib": 256,
        "allowed_methods": ["GET", "HEAD", "POST", "OPTIONS"],
        "allowed_content_types": CONTENT_TYPES,
    }
    with server() as address:
        hosts = {"localhost": {"servers": [{"address": address}], "health_check": False, "policy": "Crs"}}
        with CrsStack(haproxy, rows({"Crs": policy}, hosts)) as running:
            yield running


@dataclass(frozen=True)
class Result:
    stage: Stage
    status: int | None
    "None: no answer."
    judged: bool
    "Did the agent see it?"
    rules: frozenset[int]
    error: str
    cause: str = ""
    "Empty where the test passes."


def run(stack: CrsStack, stages: Sequence[Stage], at_once: int = 4) -> list[Result]:
    with concurrent.futures.ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(lambda stage: ask(stack, stage), stages))


def ask(stack: CrsStack, stage: Stage) -> Result:
    line, _, rest = stage.request.partition(b"\r\n")
    request = line + b"\r\nX-GP-Test: " + SECRET.encode() + b"\r\n" + rest  # taken off before the agent is asked
    status: int | None = None
    verdict: dict[str, str] = {}
    with contextlib.suppress(OSError, http.client.HTTPException):
        answer = stack.send(request)
        status, verdict = answer.status, answer.verdict
    fired = frozenset(int(rule) for rule in verdict.get("rules", "").split(",") if rule)
    result = Result(stage, status, bool(verdict.get("score")), fired, verdict.get("error", ""))
    return result if passes(stage, fired, status) and words_pass(stack, stage) else explained(stack, result)


def passes(stage: Stage, rules: frozenset[int], status: int | None) -> bool:
    if stage.expects_error:
        return status is None or status == 400
    return stage.expected <= rules and not stage.unexpected & rules and (stage.status is None or stage.status == status)


def words_pass(stack: CrsStack, stage: Stage) -> bool:
    """The agent writes no log of rules: it is asked for the words that one would hold, a rule to a line."""
    if not stage.words and not stage.no_words:
        return True
    log = "\n".join(
        f'[id "{rule["id"]}"] [msg "{rule["message"]}"] [data {json.dumps(rule["data"])}]'
        for rule in evaluated(stack, stage)
    )
    return bool(stage.words and re.search(stage.words, log)) or bool(
        stage.no_words and not re.search(stage.no_words, log)
    )


def explained(stack: CrsStack, result: Result) -> Result:
    return dataclasses.replace(result, cause=cause(stack, result))


def cause(stack: CrsStack, result: Result) -> str:
    stage = result.stage
    if result.error:
        return f"no verdict (error {result.error})"
    if not result.judged:
        return f"HAProxy answers {result.status} itself" if result.status else "HAProxy closes the connection"
    if stage.status is not None and stage.status != result.status:
        return f"HAProxy takes it: {result.status}, not {stage.status}"
    if not words_pass(stack, stage):
        refused = any(rule["id"] == BODY_REFUSED for rule in evaluated(stack, stage))
        return "the agent refuses the body in other words" if refused else "the agent's words are others"
    if not passes(stage, frozenset(rule["id"] for rule in evaluated(stack, stage) if rule["message"]), stage.status):
        return "the agent judges otherwise"
    if any(rule // 1000 == REPORTING for rule in stage.expected):
        return "fires in phase 5, after the answer"
    return "HAProxy passes it on in another form"


def evaluated(stack: CrsStack, stage: Stage) -> list[dict[str, Any]]:
    """The rules that match when the agent is asked about the same request without HAProxy."""
    head, _, body = stage.request.partition(b"\r\n\r\n")
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    method, _, rest = first.partition(" ")
    uri, _, version = rest.rpartition(" ")
    question: dict[str, Any] = {
        "application": stack.application,
        "request": {
            "method": method,
            "uri": uri or "/",
            "version": version.removeprefix("HTTP/"),
            "headers": [[name, value.strip()] for name, _, value in (line.partition(":") for line in lines if line)],
            "body": base64.b64encode(body).decode(),
        },
    }
    if uri.startswith("/reflect"):
        status, answered, content = reflected(body)
        encoded = base64.b64encode(content).decode()
        question["response"] = {"status": status, "headers": list(answered.items()), "body": encoded}
    with EVALUATIONS:
        connection = http.client.HTTPConnection("agent")
        connection.sock = stack.connect(f"{stack.folder}/control.sock")
        connection.request("POST", "/v1/evaluate", json.dumps(question))
        answer = json.loads(connection.getresponse().read())
        connection.close()
    return list(answer.get("rules", []))
