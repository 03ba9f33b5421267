"""The function that a request selects, where an application has several at one URL."""

import re

from guardpanel.services.fixes.requests import STANDS_IN, Request

FUNCTIONS = (
    "action", "_action", "do", "act", "op", "cmd", "command", "task", "_task", "route", "rest_route", "func", "function",
    "method", "controller", "view", "option", "page", "mod", "module", "mode", "db", "r",
)  # fmt: skip
"Arguments by which applications select a function at a shared URL."

MEMBERS = ("json.method", "json.operationname", "json.action", "json.cmd", "json.command", "json.op", "json.function")
"The same in a JSON body: JSON-RPC and GraphQL have one URL for all that they do."

PLAIN_VALUE = re.compile(r"[A-Za-z0-9_./:-]{1,80}")


def condition(request: Request) -> str:
    """`action=save`, if an argument selects a function: present once, with a plain value."""
    arguments = request.arguments
    for name in (*FUNCTIONS, *MEMBERS):
        values = [value for key, value in arguments if key.lower().strip() == name]
        if len(values) == 1 and PLAIN_VALUE.fullmatch(values[0]) and STANDS_IN not in values[0]:
            exact = next(key for key, _ in arguments if key.lower().strip() == name)
            return f"{exact}={values[0]}"
    return ""
