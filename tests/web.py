"""A person at the panel without a browser: logs in and sends forms as HTML would."""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Self

import httpx2

from guardpanel.database import Database
from guardpanel.models.user import AccountFields, Role
from guardpanel.services.accounts.accounts import Accounts
from tests.panel import DEADLINE, Panel

EMAIL, PASSWORD = "ada@example.org", "correct horse battery staple"


class Page:
    """What a page says: its text, and for each field's error the words beside it."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.status = answer.status_code
        self.url = str(answer.url)
        self.html = answer.text
        parser = _Text()
        parser.feed(answer.text)
        self.text = " ".join(" ".join(parser.words).split())
        self.errors = {name: " ".join(" ".join(words).split()) for name, words in parser.errors.items()}
        self.values = parser.values


class _Text(HTMLParser):
    VOID = frozenset({"input", "meta", "link", "br", "hr", "img", "use"})

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.errors: dict[str, list[str]] = {}
        self.values: dict[str, list[str]] = {}
        self._error: tuple[str, int] | None = None
        self._depth = 0
        self._area: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._depth += tag not in self.VOID
        if match := re.fullmatch(r"f-(.+)-error", given.get("id") or ""):
            self._error = match[1], self._depth
            self.errors[match[1]] = []
        if (
            tag == "input"
            and given.get("name")
            and (given.get("type") not in {"checkbox", "radio"} or "checked" in given)
        ):
            self.values.setdefault(str(given["name"]), []).append(given.get("value") or "")
        if tag == "textarea":
            self._area = given.get("name")
            self.values.setdefault(str(self._area), []).append("")

    def handle_endtag(self, tag: str) -> None:
        if self._error and self._error[1] == self._depth:
            self._error = None
        self._depth -= tag not in self.VOID
        if tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._error:
            self.errors[self._error[0]].append(data)
        if self._area is not None:
            self.values[self._area][-1] += data


class Person:
    def __init__(self, panel: Panel, email: str = EMAIL) -> None:
        self.client = httpx2.Client(base_url=panel.url, timeout=DEADLINE, follow_redirects=True, verify=panel.trusted)
        self.client.headers["origin"] = panel.url
        for name, value in panel.sessions.get(email, {}).items():
            self.client.cookies.set(name, value, domain="127.0.0.1")
        answer = self.client.get("/")
        if answer.url.path == "/login":  # the first time, or the session has ended
            self.client.cookies.clear()
            answer = self.client.post("/login", data={"email": email, "password": PASSWORD, "next": "/"})
            panel.sessions[email] = dict(self.client.cookies)
        assert answer.status_code == 200, answer.text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str) -> Page:
        return Page(self.client.get(path))

    def post(self, path: str, fields: dict[str, object]) -> Page:
        return Page(self.client.post(path, data=fields))


@contextmanager
def bearer(panel: Panel) -> Iterator[httpx2.Client]:
    """Ada's program."""
    with httpx2.Client(base_url=f"{panel.url}/api/v1", timeout=DEADLINE) as client:
        answer = client.post("/auth/login", json={"email": EMAIL, "password": PASSWORD})
        client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def an_account(panel: Panel, email: str = EMAIL, role: str = "admin", password: str = PASSWORD) -> None:
    """Made as `guardpanel user create` does beside a running panel, without a process that imports everything first."""

    async def create() -> None:
        database = Database(f"sqlite+aiosqlite:///{panel.data / 'guardpanel.db'}")
        try:
            await Accounts(database).create(AccountFields(email=email, password=password), Role(role))
        finally:
            await database.close()

    with ThreadPoolExecutor(1) as thread:  # Playwright's event loop runs in ours
        thread.submit(asyncio.run, create()).result()


def a_host(port: int, **others: object) -> dict[str, object]:
    """The fields of the form for a virtual host, all valid."""
    return {
        "hostnames": "shop.example", "servers.0.address": f"127.0.0.1:{port}", "servers.0.scheme": "http",
        "servers.0.weight": "100", "servers.0.enabled": "on", "servers.0.health_check": "on", "enabled": "on", "health_check": "on",
        "health_check_path": "/", "health_check_interval": "5", "health_check_rise": "2", "health_check_fall": "3",
        "health_check_status": "200-399", "balance": "roundrobin", "tls_verify": "system", "policy_id": "1",
        "enforcement_mode": "", "name": "", "notes": "", "health_check_host": "", "tls_ca": "", "tls_name": "", **others,
    }  # fmt: skip


def a_policy(**others: object) -> dict[str, object]:
    """The fields of the form for a policy, all valid."""
    return {
        "name": "Shop", "description": "", "enforcement_mode": "detect_only", "blocking_paranoia_level": "1",
        "detection_paranoia_level": "1", "inbound_anomaly_threshold": "5", "outbound_anomaly_threshold": "4",
        "body_limit_kib": "128", "argument_limit": "1000", "json_value_limit": "5000", "over_limit": "refuse", "upload_seconds": "10", "upload_rate_kib": "16", "response_seconds": "5", "record_one_in": "100", "record_per_day": "240", "record_days": "7",
        "streamed_responses": "judge_beginning", "fail_mode": "by_mode", "allowed_methods": "GET\nHEAD\nPOST",
        "allowed_content_types": "application/json", "content_type_readings": "", "skip_paths": "", "rate_limit_requests": "100", "rate_limit_window_seconds": "10",
        "requests_at_once": "20", "ban_threshold": "10", "ban_window_seconds": "600", "ban_duration_seconds": "600", **others,
    }  # fmt: skip
