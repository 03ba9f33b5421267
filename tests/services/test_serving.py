"""Which saves take the last server out."""

from typing import Any

import pytest

from guardpanel.models.path_binding import PathBindingColumns
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.services.serving import is_path_served, is_served

REDIRECT = {"redirect": "301", "redirect_to": "https://new.example"}
OUT = {"address": "10.0.0.5:80", "enabled": False}
IN = {"address": "10.0.0.6:80"}


@pytest.mark.parametrize(
    ("path", "servers", "served"),
    [
        (None, [], True),
        (None, [OUT], True),
        ({}, [], False),
        ({}, [OUT], False),
        ({}, [OUT, IN], True),
        (REDIRECT, [OUT], True),
        ({"own_servers": ["http://10.0.0.7:80"]}, [OUT], True),
    ],
)
def test_a_redirecting_virtual_host_needs_a_server_for_its_paths(
    path: dict[str, Any] | None, servers: list[dict[str, Any]], served: bool
) -> None:
    host = VirtualHostFields.model_validate({"hostnames": ["old.example"], "servers": servers, **REDIRECT})
    paths = [] if path is None else [PathBindingColumns.model_validate({"path": "/api", **path})]

    assert is_served(host, paths) is served


@pytest.mark.parametrize(
    ("path", "host", "served"),
    [
        ({}, {"servers": [IN]}, True),
        ({}, {"servers": [OUT, IN]}, True),
        ({}, {"servers": [OUT]}, False),
        ({}, {"servers": [{**IN, "draining": True}]}, False),
        ({}, {"servers": [{**IN, "weight": 0}]}, False),
        ({}, {"servers": [], **REDIRECT}, False),
        ({}, {"servers": [OUT], "maintenance": True}, True),
        (REDIRECT, {"servers": [OUT]}, True),
        ({"own_servers": ["http://10.0.0.7:80"]}, {"servers": [OUT]}, True),
        ({"own_servers": ["http://10.0.0.7:80 disabled"]}, {"servers": [IN]}, False),
    ],
)
def test_a_path_without_own_servers_has_those_of_the_virtual_host_that_take_requests(
    path: dict[str, Any], host: dict[str, Any], served: bool
) -> None:
    site = VirtualHostFields.model_validate({"hostnames": ["old.example"], **host})

    assert is_path_served(PathBindingColumns.model_validate({"path": "/api", **path}), site) is served
