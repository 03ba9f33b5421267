"""The event database: its tables, and how it is opened.

It is separate from the panel's database: attackers fill it, and its writer and the saves must never wait for each other. Its
version is SQLite's `user_version`.

An event's id is its time: microseconds since 1970, times 1,024, plus a tie-breaker within the microsecond. Thus every index is
ordered by time within each of its values, and a page of the newest events is read from it without sorting.
"""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from guardpanel.errors import StorageFailed

A_MICROSECOND = 1024
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

FIRST = """
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    virtual_host INTEGER,
    policy INTEGER,
    application TEXT NOT NULL,
    checksum TEXT NOT NULL,      -- the first 12 digits of the revision's
    client INTEGER NOT NULL,     -- of table client
    method TEXT NOT NULL,
    host INTEGER NOT NULL,       -- of table host
    path INTEGER NOT NULL,       -- of table path
    verdict INTEGER NOT NULL,    -- events/words.py
    status INTEGER,
    score INTEGER NOT NULL,
    severity INTEGER,            -- events/words.py
    rules TEXT NOT NULL,         -- '942100 949110'
    heard INTEGER NOT NULL       -- who has spoken: 1 the agent, 2 HAProxy, 3 both
);
CREATE UNIQUE INDEX event_request_id ON event (request_id);
CREATE INDEX event_virtual_host ON event (virtual_host);
CREATE INDEX event_policy ON event (policy);
CREATE INDEX event_client ON event (client);
CREATE INDEX event_method ON event (method);
CREATE INDEX event_host ON event (host);
CREATE INDEX event_path ON event (path);
CREATE INDEX event_verdict ON event (verdict);
CREATE INDEX event_score ON event (score);
CREATE INDEX event_severity ON event (severity);

CREATE TABLE event_rule (rule INTEGER NOT NULL, event INTEGER NOT NULL, PRIMARY KEY (rule, event)) WITHOUT ROWID;
CREATE TABLE event_line (id INTEGER PRIMARY KEY, lines BLOB NOT NULL);  -- events/lines.py
CREATE TABLE rule (id INTEGER PRIMARY KEY, message TEXT NOT NULL);

CREATE TABLE client (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, key BLOB NOT NULL);
CREATE INDEX client_key ON client (key);
CREATE TABLE host (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE path (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);

-- How far each file was read; written in the transaction that keeps what was read.
CREATE TABLE segment (name TEXT PRIMARY KEY, offset INTEGER NOT NULL, size INTEGER NOT NULL, ended INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE access_log (id INTEGER PRIMARY KEY CHECK (id = 1), inode INTEGER NOT NULL, offset INTEGER NOT NULL);
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""

SECOND = """
DROP TABLE rule;
ALTER TABLE event ADD COLUMN reason INTEGER;  -- events/words.py: why HAProxy did not deliver it
CREATE INDEX event_reason ON event (reason) WHERE reason IS NOT NULL;
"""
"A rule's message is stored in the event's line."

THIRD = """
ALTER TABLE event ADD COLUMN shape INTEGER;  -- events/grouping.py; NULL where no rule contributed
CREATE INDEX event_shape ON event (shape) WHERE shape IS NOT NULL;

-- Events before this one have no shape yet: they are older than the column (ingest/shaping.py).
CREATE TABLE shapeless (id INTEGER PRIMARY KEY CHECK (id = 1), before INTEGER NOT NULL);
INSERT INTO shapeless SELECT 1, max(id) + 1 FROM event HAVING max(id) IS NOT NULL;
"""

FOURTH = """
CREATE TABLE recorded (           -- ordinary requests
    id INTEGER PRIMARY KEY,       -- its moment, as an event's
    ends INTEGER NOT NULL,        -- from when on it is not kept
    host TEXT NOT NULL,
    client_key TEXT NOT NULL,     -- events/client_keys.py
    line BLOB NOT NULL            -- events/lines.py
);
CREATE INDEX recorded_ends ON recorded (ends);
CREATE INDEX recorded_host ON recorded (host, id);
CREATE INDEX recorded_client ON recorded (client_key);
"""

USES = """
CREATE TABLE exclusion_use (  -- requests that met the conditions of a rule exclusion; exclusion 0: that somebody counts
    exclusion INTEGER NOT NULL,
    day INTEGER NOT NULL,        -- since 1970, in UTC
    requests INTEGER NOT NULL,
    last INTEGER NOT NULL,       -- seconds since 1970
    PRIMARY KEY (exclusion, day)
) WITHOUT ROWID;
"""

FORGOTTEN = """
CREATE TABLE forgotten (   -- recorded requests that were deleted: lines of them may still be unread
    name TEXT NOT NULL,          -- a hostname, or a wildcard for one label
    client_key TEXT NOT NULL,    -- empty: all
    before INTEGER NOT NULL,     -- a moment, as an event's id
    PRIMARY KEY (name, client_key)
) WITHOUT ROWID;
"""

STRIKES = """
CREATE TABLE strike (        -- rejected requests (ingest/strikes.py)
    policy INTEGER NOT NULL,
    client TEXT NOT NULL,        -- an IPv4 address, or the first 64 bits of an IPv6 address as a network
    second INTEGER NOT NULL,     -- since 1970
    number INTEGER NOT NULL,
    PRIMARY KEY (policy, client, second)
) WITHOUT ROWID;
CREATE INDEX strike_second ON strike (second);
"""

TRAFFIC = """
CREATE TABLE traffic (         -- events/traffic.py
    step INTEGER NOT NULL,       -- seconds
    host INTEGER NOT NULL,       -- a virtual host, or ALL, or UNKNOWN
    begins INTEGER NOT NULL,     -- seconds since 1970
    requests INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    detected INTEGER NOT NULL,
    sent INTEGER NOT NULL,       -- bytes
    statuses TEXT NOT NULL,      -- numbers of CLASSES
    times TEXT NOT NULL,         -- numbers between MILLISECONDS
    PRIMARY KEY (step, host, begins)
) WITHOUT ROWID;
CREATE INDEX traffic_begins ON traffic (step, begins);
"""

BUSIEST = """
CREATE TABLE busiest (         -- events/busiest.py
    kind INTEGER NOT NULL,       -- of paths, or of clients
    host INTEGER NOT NULL,       -- a virtual host, or ALL
    begins INTEGER NOT NULL,     -- an hour, or a day, in seconds since 1970
    floor INTEGER NOT NULL,      -- requests that others may have had
    names BLOB NOT NULL,         -- and their numbers
    UNIQUE (kind, host, begins)
);
CREATE INDEX busiest_begins ON busiest (begins);
CREATE INDEX busiest_hours ON busiest (begins) WHERE begins % 86400 <> 0;
"""

RATES = """
CREATE TABLE rate (            -- events/rates.py
    policy INTEGER NOT NULL,
    begins INTEGER NOT NULL,     -- an hour, in seconds since 1970
    bound INTEGER NOT NULL,      -- visitors with a smaller hash are in it
    visitors BLOB NOT NULL,
    PRIMARY KEY (policy, begins)
);
CREATE INDEX rate_begins ON rate (begins);
"""

AGENT, PROXY = 1, 2
"Bits of the column `heard`."

PAGES_IN_WAL = 8_000
"""32 MiB: a batch touches thousands of pages, many of which the next batch touches again, so that each is written to the file
once for several batches."""

VERSIONS = (FIRST, SECOND, THIRD, FOURTH, USES, FORGOTTEN, STRIKES, TRAFFIC, BUSIEST, RATES)
"What each version adds to the one before."


def id_of(moment: datetime) -> int:
    """The smallest id at that time."""
    return (moment - EPOCH) // timedelta(microseconds=1) * A_MICROSECOND


def time_of(event_id: int) -> datetime:
    return EPOCH + timedelta(microseconds=event_id // A_MICROSECOND)


def open_to_write(path: Path) -> sqlite3.Connection:
    """Created, or upgraded to our version, if necessary. A single process writes (ingest/run.py)."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    for pragma in (
        "journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "cache_size=-65536",
        f"wal_autocheckpoint={PAGES_IN_WAL}",
    ):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")
    _bring_up(connection)
    path.chmod(0o600)
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    for pragma in ("query_only=ON", "busy_timeout=1000", "cache_size=-16384", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def open_to_watch(path: Path) -> sqlite3.Connection:
    """To see whether anything was written: waits for nothing, so that an event loop may ask."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)


def open_to_forget(path: Path) -> sqlite3.Connection:
    """To delete at somebody's wish, beside the ingest: what is deleted is overwritten."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    for pragma in ("busy_timeout=10000", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def can_be_read(connection: sqlite3.Connection) -> bool:
    """False if there are no events yet. Raises StorageFailed for another version: the ingest upgrades older ones."""
    known = version(connection)
    if known and known < len(VERSIONS):
        raise StorageFailed(
            "The events were written by an older guardpanel: start the ingest to upgrade and read them."
        )
    return known > 0


def _bring_up(connection: sqlite3.Connection) -> None:
    known = version(connection)
    if known > len(VERSIONS):
        raise StorageFailed(f"The events were written by a newer guardpanel (version {known} of their file).")
    for number, script in enumerate(VERSIONS[known:], known + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
