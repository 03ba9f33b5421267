"""DNS-01 by the providers of dns-lexicon, an optional package: `python -m guardpanel.acme.lexicon_hook` is a command as
`guardpanel.acme.hook` runs it. It is a process of its own, since providers wait for their servers without limit.

Credentials are in its environment (LEXICON_…) or in a file, never on its command line, and are cut out of what it prints.
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from guardpanel.acme import redaction
from guardpanel.acme.network_words import reason
from guardpanel.later import Later

if TYPE_CHECKING:
    import dns.name
    import dns.resolver
    import requests
else:
    dns = Later("dns")
    requests = Later("requests")

MISSING = "The package dns-lexicon is not installed: pip install 'guardpanel[lexicon]'."

LONGEST_OUTPUT = 500


def main(arguments: Sequence[str]) -> int:
    """`PROVIDER FILE ZONE add|remove NAME VALUE`; FILE is empty if the environment has all options."""
    provider, file, zone, deed, name, value = arguments
    logging.disable(logging.CRITICAL)  # Providers log requests.
    try:
        options = read_options(file)
    except (OSError, ValueError) as error:
        return _say(f"The options can’t be read: {reason(error) if isinstance(error, OSError) else error}.")
    try:
        _run(provider, options, zone, deed, name, value)
    except ImportError:
        return _say(MISSING)
    except Exception as error:  # noqa: BLE001 each provider has its own
        return _say(without_secrets(_words(error), options))
    return 0


def read_options(file: str) -> dict[str, Any]:
    """Of the provider, as `lexicon_PROVIDER.yml` has them. Raises OSError, or ValueError without what is in it."""
    try:
        options = yaml.safe_load(Path(file).read_text()) if file else {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError("it is not YAML") from error
    if not isinstance(options, dict):
        raise ValueError("expected lines such as auth_token: …")  # noqa: TRY004 of the file, not of the caller
    return options


def _run(provider: str, options: dict[str, Any], zone: str, deed: str, name: str, value: str) -> None:
    from lexicon.client import Client
    from lexicon.config import ConfigResolver

    own = {"domain": zone, "provider_name": provider, "resolve_zone_name": True, "ttl": 60}
    # The zone is known. Asked for it, dns-lexicon would look it up again, or fetch a list of public suffixes.
    dns.resolver.zone_for_name = lambda *_, **__: dns.name.from_text(zone)
    config = ConfigResolver().with_dict({**own, provider: options}).with_env()
    with Client(config) as records:
        if deed == "add":
            records.create_record("TXT", name, value)
        else:
            records.delete_record(None, "TXT", name, value)


def _words(error: Exception) -> str:
    match error:
        case requests.HTTPError(response=response) if response is not None:
            return f"{response.url.split('?')[0]}: HTTP status {response.status_code}. {response.text}"
        case requests.RequestException():
            return f"The provider can’t be reached: {reason(error)}."
    return str(error) or f"The provider gives no reason ({error.__class__.__name__})."


def without_secrets(text: str, options: dict[str, Any]) -> str:
    """Without any value of an option, however it is written."""
    environment = (value for name, value in os.environ.items() if name.startswith("LEXICON_"))
    return redaction.without(text, [*redaction.values_in(options), *environment])[:LONGEST_OUTPUT]


def _say(words: str) -> int:
    sys.stdout.write(words + "\n")
    return 1


def zone_of(name: str) -> str:
    """The zone that a name is in, by public DNS. Raises dns.exception.DNSException."""
    return dns.resolver.zone_for_name(f"{name}.").to_text(omit_final_dot=True)


ZoneOf = Callable[[str], str]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
