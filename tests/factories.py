"""Things as an operator types them, valid by default: for the form, and the same for the JSON API."""

from typing import Any

from guardpanel.models.delivery.compression import COMPRESSED
from guardpanel.models.policies.policy_lists import MASKED_FIELDS
from guardpanel.models.policies.restrictions import CHARSETS, EXTENSIONS, HEADERS, HTTP_VERSIONS

Form = dict[str, Any]


def a_virtual_host(hosts: str = "shop.example", **others: Any) -> Form:
    """The form of a virtual host, as it is in version 1. Rows are `servers.0.address`; a field that is None is left out."""
    typed = {
        "version": "1",
        "name": "",
        "hostnames": hosts,
        "servers.0.address": "127.0.0.1:3000",
        "servers.0.weight": "100",
        "servers.0.enabled": "on",
        "servers.0.health_check": "on",
        "servers.0.max_connections": "0",
        "servers.0.health_check_interval": "",
        "servers.0.health_check_rise": "",
        "servers.0.health_check_fall": "",
        "enabled": "on",
        "policy_id": "1",
        "enforcement_mode": "",
        "balance": "roundrobin",
        "health_check": "on",
        "health_check_path": "/",
        "health_check_interval": "5",
        "health_check_rise": "2",
        "health_check_fall": "3",
        "health_check_status": "200-399",
        "health_check_host": "",
        "tls_verify": "system",
        "tls_ca": "",
        "tls_name": "",
        "hsts_seconds": "0",
        "certificate_id": "",
        "new_certificate": "none",
        "new_authority": "Let’s Encrypt",
        "tls_profile": "intermediate",
        "client_certificates": "off",
        "client_ca_id": "",
        "security_headers": "off",
        "cors_origins": "",
        "cors_methods": "GET\nHEAD\nPOST",
        "cors_headers": "",
        "cors_max_age": "600",
        "error_page_id": "",
        "server_path": "",
        "server_host": "",
        "connect_timeout": "5",
        "queue_timeout": "10",
        "server_timeout": "60",
        "tunnel_timeout": "3600",
        "retries": "2",
        "compression_types": "\n".join(COMPRESSED),
        "server_protocol": "http1",
        "upgrades": "",
        "sticky_sessions": "off",
        "sticky_cookie": "GPSRV",
        "sticky_same_site": "lax",
        "redirect": "no",
        "redirect_to": "",
        "redirect_rest": "on",
        "notes": "",
    }
    return {key: value for key, value in {**typed, **others}.items() if value is not None}


def a_client_ca(certificates: str, called: str = "Staff", **others: Any) -> Form:
    """The form of a client CA."""
    return {
        "version": "1",
        "name": called,
        "certificates": certificates,
        "revocation_lists": "",
        "revocation_list_urls": "",
        "notes": "",
        **others,
    }


def a_policy(called: str = "Strict", **others: Any) -> Form:
    """The form of a policy."""
    typed = {
        "version": "1",
        "name": called,
        "description": "",
        "enforcement_mode": "block",
        "blocking_paranoia_level": "1",
        "detection_paranoia_level": "1",
        "inbound_anomaly_threshold": "5",
        "outbound_anomaly_threshold": "4",
        "body_limit_kib": "128",
        "argument_limit": "1000",
        "json_value_limit": "5000",
        "over_limit": "by_mode",
        "upload_seconds": "10",
        "upload_rate_kib": "16",
        "response_seconds": "5",
        "streamed_responses": "judge_beginning",
        "fail_mode": "by_mode",
        "allowed_methods": "GET\nHEAD\nPOST\nOPTIONS",
        "allowed_content_types": "application/x-www-form-urlencoded\nmultipart/form-data\napplication/json",
        "content_type_readings": "",
        "allowed_charsets": "\n".join(CHARSETS),
        "allowed_http_versions": "\n".join(HTTP_VERSIONS),
        "restricted_headers": "\n".join(HEADERS),
        "restricted_extensions": "\n".join(EXTENSIONS),
        "countries": "",
        "country_mode": "off",
        "asns": "",
        "asn_mode": "off",
        "skip_paths": "",
        "rate_limit_requests": "100",
        "rate_limit_window_seconds": "10",
        "requests_at_once": "20",
        "errors_per_period": "",
        "mib_per_period": "",
        "limit_delay_seconds": "",
        "limit_by": "client",
        "limit_by_name": "",
        "ban_threshold": "10",
        "ban_window_seconds": "600",
        "ban_duration_seconds": "600",
        "login_paths": "",
        "login_statuses": "401\n403",
        "error_statuses": "",
        "masked_fields": "\n".join(MASKED_FIELDS),
        "record_one_in": "100",
        "record_per_day": "240",
        "record_days": "7",
    }
    return {key: value for key, value in {**typed, **others}.items() if value is not None}


def an_address_list(called: str = "Scanners", **others: Any) -> Form:
    """The form of an address list."""
    typed = {
        "version": "1",
        "name": called,
        "kind": "deny",
        "applies_to": "everywhere",
        "virtual_host_ids": "",
        "paths": "",
        "filled_from": "hand",
        "feed_url": "",
        "feed_every": "1h",
        "feed_key": "",
        "entries": "203.0.113.0/24",
        "notes": "",
    }
    return {key: value for key, value in {**typed, **others}.items() if value is not None}


def an_exclusion(**others: Any) -> Form:
    """The form of a rule exclusion."""
    typed = {
        "version": "1",
        "rules": "941100",
        "target": "argument",
        "target_name": "content",
        "path_match": "exact",
        "path": "/wp-json/posts",
        "methods": "POST",
        "only_if": "",
        "virtual_host_id": "",
        "reason": "",
        "owner": "",
        "ends_on": "",
        "enabled": "on",
    }
    return {key: value for key, value in {**typed, **others}.items() if value is not None}


def an_override(**others: Any) -> Form:
    """The form of a rule override."""
    return {"version": "1", "rule": "942100", "action": "disable", "reason": "", "owner": "", **others}


def a_custom_rule(**others: Any) -> Form:
    """The form of a custom rule."""
    typed = {
        "rule_id": "9000001",
        "name": "Old login",
        "phase": "request_body",
        "variables": "ARGS:q",
        "transformations": "",
        "operator": "contains",
        "operator_argument": "needle",
        "action": "score",
        "points": "5",
        "severity": "critical",
        "tags": "",
        "status": "403",
        "enabled": "on",
        "comment": "",
    }
    return {key: value for key, value in {**typed, **others}.items() if value is not None}


def a_traffic(**others: Any) -> Form:
    """The form of the traffic settings, for one listener."""
    typed = {
        "version": "1",
        "client_ip_source": "connection",
        "trusted_networks": "",
        "forwarded_hops": "0",
        "client_ip_header": "",
        "max_connections": "0",
        "max_requests_per_client": "0",
        "health_path": "",
        "health_networks": "",
        "default_certificate_id": "",
        "listeners.0.address": "127.0.0.1:8080",
        "listeners.0.proxy_protocol": "off",
        "listeners.0.proxy_networks": "",
        "listeners.0.scheme": "http",
    }
    return {key: value for key, value in {**typed, **others}.items() if value is not None}


def a_vhost(domain: str = "shop.example", **others: Any) -> dict[str, Any]:
    """A virtual host as the React panel sends it."""
    backend = {
        "url": "http://127.0.0.1:3000",
        "is_active": True,
        "health_check_enabled": True,
        "health_check_path": "/",
        "health_check_interval_seconds": 5,
        "health_check_fall": 3,
        "health_check_rise": 2,
    }
    backends = others.get("backends") or [backend]
    return {
        "domain": domain,
        "backend_url": backends[0]["url"],
        "backends": backends,
        "description": None,
        "ssl_enabled": False,
        "ssl_provider": "none",
        "ssl_cert": None,
        "ssl_key": None,
        "is_active": True,
        "policy_id": None,
        **others,
    }


def a_react_policy(name: str = "Strict", **others: Any) -> dict[str, Any]:
    """A policy as the React panel sends it."""
    return {
        "name": name,
        "description": None,
        "enforcement_mode": "block",
        "paranoia_level": 1,
        "inbound_anomaly_threshold": 5,
        "outbound_anomaly_threshold": 4,
        "ddos_protection_enabled": False,
        "rate_limit_requests": 100,
        "rate_limit_window_seconds": 10,
        "max_connections_per_ip": 20,
        "auto_ban_enabled": False,
        "ban_threshold": 10,
        "ban_duration_seconds": 600,
        "geoip_mode": "off",
        "geoip_countries": [],
        **others,
    }


def a_path_binding(**others: Any) -> Form:
    """The form of a path binding."""
    typed = {
        "path_match": "below",
        "path": "/api",
        "own_servers": "",
        "server_path": "",
        "server_host": "",
        "connect_timeout": "",
        "queue_timeout": "",
        "server_timeout": "",
        "tunnel_timeout": "",
        "retries": "",
        "security_headers": "",
        "error_page_id": "",
        "compression_types": "\n".join(COMPRESSED),
        "cors_origins": "",
        "cors_methods": "GET\nHEAD\nPOST",
        "cors_headers": "",
        "cors_max_age": "600",
        "policy_id": "",
        "enforcement_mode": "detect_only",
        "redirect": "no",
        "redirect_to": "",
        "redirect_rest": "on",
        "notes": "",
    }
    return {**typed, **others}


def a_header_rule(**others: Any) -> Form:
    """The form of a header rule."""
    typed = {
        "direction": "response",
        "action": "set",
        "header": "X-Robots-Tag",
        "value": "noindex",
        "position": "100",
        "notes": "",
    }
    return {**typed, **others}


A_LOGO = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
"A PNG of 1 × 1 pixel."


def a_login(called: str = "ada", **others: Any) -> Form:
    """The form of a login."""
    return {"name": called, "password": "correct horse", "notes": "", **others}


def an_error_page(called: str = "Shop", **others: Any) -> Form:
    """The form of an error page set."""
    typed = {
        "name": called,
        "site_name": "Example Shop",
        "logo": "",
        "accent": "#00796b",
        "text": "Call us from 9 to 5.",
        "contact": "help@shop.example",
        "notes": "",
    }
    return {**typed, **others}


def a_body_reading(**others: Any) -> Form:
    """The form of a body reading."""
    typed = {
        "path_match": "exact",
        "path": "/api/event",
        "methods": "POST",
        "content_types": "text/plain",
        "read_as": "json",
        "reason": "",
    }
    return {**typed, **others}
