"""Which saves take the last server out."""

from typing import Any

import pytest

from guardpanel.models.path_binding import PathBindingColumns
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.services.serving import is_served

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
