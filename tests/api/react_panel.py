"""The React panel as its API sees it: what it sends, what it reads of an answer, and what it does when its token has ended."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx2

NUMBER, TEXT, SWITCH, TIME, ANY = "a number", "a text", "true or false", "a time with its zone", "anything"

KINDS = {NUMBER: int, TEXT: str, SWITCH: bool}


def or_null(*kinds: Any) -> tuple[Any, ...]:
    return (None, *kinds)


CHECK = {
    "health_check_enabled": SWITCH, "health_check_path": TEXT, "health_check_interval_seconds": NUMBER,
    "health_check_fall": NUMBER, "health_check_rise": NUMBER,
}  # fmt: skip
VHOST = {
    "id": NUMBER, "domain": TEXT, "backend_url": TEXT, "backends": [{"id": NUMBER, "url": TEXT, "is_active": SWITCH, **CHECK}],
    "description": or_null(TEXT), "policy_id": or_null(NUMBER), "ssl_enabled": SWITCH,
    "ssl_provider": {"none", "upload", "letsencrypt"}, "is_active": SWITCH,
}  # fmt: skip
MODES = {"block", "detect_only"}
BOUND = {
    "name": TEXT, "enforcement_mode": MODES, "is_active": SWITCH, "paranoia_level": NUMBER, "inbound_anomaly_threshold": NUMBER,
}  # fmt: skip
VHOST_PAGE = {
    **VHOST,
    "ssl_expires_at": or_null(TIME),
    "created_at": TIME,
    "updated_at": TIME,
    "policy": or_null(BOUND),
}
POLICY = {
    **BOUND, "id": NUMBER, "description": or_null(TEXT), "outbound_anomaly_threshold": NUMBER,
    "ddos_protection_enabled": SWITCH, "rate_limit_requests": NUMBER, "rate_limit_window_seconds": NUMBER,
    "max_connections_per_ip": NUMBER, "auto_ban_enabled": SWITCH, "ban_threshold": NUMBER, "ban_duration_seconds": NUMBER,
    "geoip_mode": {"off", "allowlist", "blocklist"}, "geoip_countries": [TEXT],
}  # fmt: skip
OVERRIDE = {"id": NUMBER, "rule_id": NUMBER, "action": {"enable", "disable"}, "comment": or_null(TEXT)}
EXCLUSION = {
    "id": NUMBER, "rule_id": NUMBER, "target_type": {"request_uri", "args", "args_names", "request_headers"},
    "target_value": TEXT, "scope_path": or_null(TEXT), "comment": or_null(TEXT),
}  # fmt: skip
CUSTOM_RULE = {
    "id": NUMBER, "rule_id": NUMBER, "phase": {"request_headers", "request_body"}, "variables": TEXT, "operator": TEXT,
    "operator_argument": TEXT, "actions": TEXT, "comment": or_null(TEXT), "is_active": SWITCH,
}  # fmt: skip
POLICY_PAGE = {
    "id": NUMBER, "description": or_null(TEXT), **BOUND, "rule_overrides": [OVERRIDE], "rule_exclusions": [EXCLUSION],
    "custom_rules": [CUSTOM_RULE],
}  # fmt: skip
OVERRIDES = [{**OVERRIDE, "created_at": TIME}]
LOG = {
    "id": NUMBER, "event_at": TIME, "vhost": TEXT, "method": TEXT, "request_uri": TEXT, "action": {"allow", "deny", "monitor"},
    "anomaly_score": or_null(NUMBER), "rule_id": or_null(NUMBER), "rule_message": or_null(TEXT), "source_ip": TEXT,
    "severity": {"info", "warning", "error", "critical"}, "status_code": or_null(NUMBER),
    "paranoia_level": or_null(NUMBER), "policy_name": or_null(TEXT), "producer_event_id": TEXT, "raw_context": or_null(ANY),
}  # fmt: skip
BAN = {
    "banned": SWITCH, "ip": TEXT, "vhost_id": or_null(NUMBER), "domain": TEXT, "gpc0": NUMBER, "ban_threshold": NUMBER,
    "expires_in_seconds": NUMBER,
}  # fmt: skip
RELOAD = {
    "config_checksum": or_null(TEXT),
    "created_at": TIME,
    "status": {"success", "failed"},
    "message": or_null(TEXT),
}
RUNTIME = {
    "deployment_state": {"deployed", "failed", "never_deployed"}, "generated_config": {"checksum": or_null(TEXT)},
    "latest_reload": or_null(RELOAD),
}  # fmt: skip
ME = {"role": {"admin", "viewer"}, "full_name": TEXT, "email": TEXT}


def paged(item: Any) -> dict[str, Any]:
    return {"total": NUMBER, "items": [item]}


def must_fit(value: Any, shape: Any, place: str = "answer") -> None:
    """Every key that it reads is there, and of the kind that it can show."""
    match shape:
        case dict():
            assert isinstance(value, dict), (place, value)
            for name, part in shape.items():
                assert name in value, (place, name)
                must_fit(value[name], part, f"{place}.{name}")
        case [part]:
            assert isinstance(value, list), (place, value)
            for at, one in enumerate(value):
                must_fit(one, part, f"{place}.{at}")
        case set():
            assert value in shape, (place, value)
        case (None, part):
            if value is not None:
                must_fit(value, part, place)
        case _:
            assert is_of(value, shape), (place, value, shape)


def is_of(value: Any, kind: str) -> bool:
    if kind is ANY:
        return True
    if kind is TIME:
        return datetime.fromisoformat(value).tzinfo is not None
    return isinstance(value, KINDS[kind]) and isinstance(value, bool) == (kind is SWITCH)


class SignedOut(AssertionError):
    """It shows the page to sign in."""


class ReactPanel:
    """One tab. Each call is answered as it was expected, or the test has failed."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.token = ""
        self.calls: list[tuple[str, str, int]] = []
        self._refreshing: asyncio.Task[None] | None = None

    async def get(self, path: str, shape: Any, **query: Any) -> Any:
        answer = await self._asked("GET", path, query=query)
        return self._read(answer, 200, shape)

    async def post(self, path: str, body: Mapping[str, Any] | None = None, status: int = 201) -> Any:
        return self._read(await self._asked("POST", path, body), status)

    async def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._read(await self._asked("PATCH", path, body), 200)

    async def delete(self, path: str) -> Any:
        answer = await self._asked("DELETE", path)
        return None if answer.status_code == 204 else self._read(answer, 200)

    async def refused(
        self, method: str, path: str, status: int, body: Mapping[str, Any] | None = None, **query: Any
    ) -> str:
        """The text that it shows."""
        answer = await self._asked(method, path, body, query)
        assert answer.status_code == status, answer.text
        assert "json" in answer.headers["content-type"]
        detail = answer.json()["detail"]
        assert isinstance(detail, str) and detail
        return detail

    async def sign_in(self, email: str, password: str) -> None:
        answer = await self._send("POST", "/auth/login", {"email": email, "password": password}, {})
        self.token = self._read(answer, 200, {"access_token": TEXT})["access_token"]

    async def reload(self) -> None:
        """F5: the token was in memory alone."""
        self.token = ""
        await self._refresh()

    async def sign_out(self) -> None:
        assert (await self._send("POST", "/auth/logout", None, {})).status_code == 204
        self.token = ""

    async def _asked(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> httpx2.Response:
        used = self.token
        answer = await self._send(method, path, body, query or {})
        if answer.status_code == 401 and used:
            if self.token == used:  # Several at once share one refresh.
                self._refreshing = self._refreshing or asyncio.create_task(self._refresh())
                await self._refreshing
                self._refreshing = None
            answer = await self._send(method, path, body, query or {})
        return answer

    async def _refresh(self) -> None:
        answer = await self._send("POST", "/auth/refresh", None, {}, token="")
        if answer.status_code == 401:
            raise SignedOut
        self.token = self._read(answer, 200, {"access_token": TEXT})["access_token"]
        self._read(await self._send("GET", "/auth/me", None, {}), 200, ME)

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, Any], token: str | None = None
    ) -> httpx2.Response:
        bearer = self.token if token is None else token
        headers = {"accept": "application/json"} | ({"authorization": f"Bearer {bearer}"} if bearer else {})
        written = {name: value for name, value in query.items() if value not in {"", None}}
        answer = await self.client.request(
            method, f"/api/v1{path}", json=None if body is None else {**body}, params=written, headers=headers
        )
        self.calls.append((method, path, answer.status_code))
        return answer

    @staticmethod
    def _read(answer: httpx2.Response, status: int, shape: Any = ANY) -> Any:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"].startswith("application/json"), answer.headers
        must_fit(answer.json(), shape)
        return answer.json()
