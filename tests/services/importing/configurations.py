"""A haproxy.cfg, and what becomes of it."""

from typing import Any

from guardpanel.readable_yaml import read
from guardpanel.services.importing.importing import Beside, Imported, import_configuration

DEFAULTS = "defaults\n  mode http\n"

APP = "backend app\n  server a 10.0.0.1:80\n"

API = "backend api\n  server b 10.0.0.2:81\n"


def imported(text: str, beside: Beside = Beside()) -> Imported:  # noqa: B008 it is frozen
    return import_configuration((DEFAULTS + text).encode(), beside)


def hosts(text: str, beside: Beside = Beside()) -> dict[str, Any]:  # noqa: B008
    site = imported(text, beside).site
    return {next(iter(host["hostnames"])): host for host in read(site)["virtual_hosts"]} if site else {}


def kinds(text: str, *files: Beside) -> dict[str, tuple[str, str]]:
    return {outcome.text: (outcome.kind, outcome.what) for outcome in imported(text, *files).outcomes}
