"""Where guardpanel keeps what: files and sockets in the data directory."""

from pathlib import Path
from urllib.parse import quote

LONGEST_SOCKET = "haproxy-master.sock"
"HAProxy binds it, and none of our sockets has a longer path."


def sqlite_url(file: Path) -> str:
    """SQLAlchemy reads `?`, `%41` and the like in a URL as what they mean there."""
    return f"sqlite+aiosqlite:///{quote(str(file))}"


class Places:
    data_dir: Path

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "run"

    @property
    def releases_dir(self) -> Path:
        return self.data_dir / "releases"

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "log"

    @property
    def master_socket(self) -> Path:
        return self.run_dir / LONGEST_SOCKET

    @property
    def probe_socket(self) -> Path:
        return self.run_dir / "haproxy-probe.sock"

    @property
    def tables_socket(self) -> Path:
        """Where a HAProxy worker gets the previous one's counts of requests at a reload."""
        return self.run_dir / "tables.sock"

    @property
    def bans_map(self) -> Path:
        """Banned networks, which HAProxy reads at each start."""
        return self.data_dir / "bans.map"

    @property
    def feeds_dir(self) -> Path:
        """What feeds fill lists with, which HAProxy reads at each start."""
        return self.data_dir / "feeds"

    @property
    def geo_dir(self) -> Path:
        """Countries and networks of addresses, which HAProxy reads at each start if a policy asks."""
        return self.data_dir / "geo"

    @property
    def server_states(self) -> Path:
        """The states and addresses of servers that HAProxy's next worker reads."""
        return self.run_dir / "servers.state"

    @property
    def server_addresses(self) -> Path:
        """The last known addresses of servers' names."""
        return self.run_dir / "addresses.json"

    @property
    def agent_socket(self) -> Path:
        """Where HAProxy asks the agent for verdicts."""
        return self.run_dir / "agent.sock"

    @property
    def agent_control_socket(self) -> Path:
        return self.run_dir / "agent-control.sock"

    @property
    def agent_configuration(self) -> Path:
        return self.run_dir / "coraza.yaml"

    @property
    def place_note(self) -> Path:
        """Says where the data directory was at the last start."""
        return self.run_dir / "place"

    @property
    def events_dir(self) -> Path:
        """Where the agent writes events."""
        return self.data_dir / "events"

    @property
    def events_database(self) -> Path:
        return self.data_dir / "events.db"

    @property
    def ingest_lock(self) -> Path:
        """Held by the one process that writes the event database."""
        return self.data_dir / "ingest.lock"

    @property
    def ingest_socket(self) -> Path:
        """Reports the ingest's status."""
        return self.run_dir / "ingest.sock"

    @property
    def access_log(self) -> Path:
        """HAProxy's log, one JSON object per request."""
        return self.log_dir / "access.json"

    @property
    def system_ca(self) -> str:
        """The machine's certificate authorities: HAProxy from a wheel does not know where they are."""
        places = (
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt",
            "/etc/ssl/cert.pem",
        )
        return next((place for place in places if Path(place).is_file()), "@system-ca")

    @property
    def save_lock(self) -> Path:
        "Held by the process that saves."
        return self.data_dir / "lock"

    @property
    def restore_dir(self) -> Path:
        """Unpacked backups that wait to be restored."""
        return self.data_dir / "restore"

    @property
    def panel_lock(self) -> Path:
        """Held by the panel while it runs."""
        return self.data_dir / "panel.lock"

    @property
    def default_certificate(self) -> Path:
        """With its key. For handshakes without a name, or with one that no other certificate covers."""
        return self.data_dir / "default-certificate.pem"

    @property
    def panel_certificate(self) -> Path:
        """Self-signed, with its key."""
        return self.data_dir / "panel-certificate.pem"
