"""Requests to an authority: signed and sent by the `acme` library, whose gaps are filled here."""

from typing import Any

import josepy.json_util
import josepy.jwa
import josepy.jwk
import requests
from acme import messages
from acme.client import ClientNetwork

from guardpanel import __version__

TIMEOUT_SECONDS = 20

NONCE_TRIES = 5
"Requests with a nonce that the authority rejects as bad."


class Network(ClientNetwork):
    """Keeps the last response, and tries a rejected nonce more than once."""

    def __init__(self, key: josepy.jwk.JWK, ca_file: str) -> None:
        agent = f"guardpanel/{__version__}"
        super().__init__(key, alg=josepy.jwa.ES256, user_agent=agent, timeout=TIMEOUT_SECONDS)
        self.verify_ssl = ca_file or True  # type: ignore[assignment]  # passed on to requests, which takes a path
        self.last: requests.Response | None = None

    def _send_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        self.last = None
        self.last = super()._send_request(method, url, *args, **kwargs)
        return self.last

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        for _ in range(NONCE_TRIES - 1):
            try:
                return self._post_once(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return self._post_once(*args, **kwargs)


class ReplacingOrder(messages.NewOrder):
    """A new order that names the certificate which it replaces (RFC 9773 §5)."""

    replaces: str = josepy.json_util.field("replaces", omitempty=True)
