"""What a line of an ordinary request costs the ingest, of visitors and under a scan.

    .venv/bin/python -m bench.ingest_lines

The lines are as long as a real HAProxy's. What is timed is the ingest's loop, as the process has it.
"""

import gc
import random
import tempfile
import time
from contextlib import closing
from pathlib import Path

from bench.ingest import timed
from guardpanel.ingest.run import GC_AFTER, Ingest
from guardpanel.settings import Settings
from tests.events import a_passed_line, a_request_id, as_line

LINES, HOSTS, SECONDS = 100_000, 50, 600

REST = {
    "peer": "192.0.2.7",
    "scheme": "https",
    "forwarded": "-",
    "proxied": "-",
    "list": "-",
    "country": "-",
    "network": "-",
    "partial": "-",
}
"Fields that tests leave out."


def visitor(chance: random.Random, _number: int) -> dict[str, object]:
    """One of 20,000 clients and 3,000 paths, of which a few have most requests."""
    client, path = int(20_000 * chance.random() ** 3), int(3_000 * chance.random() ** 3)
    return {"client": f"198.18.{client >> 8}.{client & 255}", "path": f"/shop/{path % 40}/product-{path}?page=1"}


def scanner(chance: random.Random, number: int) -> dict[str, object]:
    """Each request for another path, from another client."""
    return {
        "client": f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
        "path": f"/{chance.getrandbits(40):010x}/x",
        "status": 404,
    }


def main() -> None:
    gc.set_threshold(*GC_AFTER)
    for name, request in (("visitors", visitor), ("a scan", scanner)):
        chance, began = random.Random(7), time.time() - SECONDS
        with tempfile.TemporaryDirectory(prefix="gp") as folder:
            settings = Settings(data_dir=Path(folder))
            for directory in (settings.events_dir, settings.log_dir):
                directory.mkdir(parents=True)
            with settings.access_log.open("wb") as log:
                for number in range(LINES):
                    host = str(1 + int(HOSTS * chance.random() ** 2))
                    own = {
                        "id": a_request_id(number),
                        "time": began + SECONDS * number / LINES,
                        "virtual_host": host,
                    }
                    log.write(as_line({**a_passed_line(), **REST, **own, **request(chance, number)}) + b"\n")
            with closing(Ingest(settings)) as ingest:
                took, cpu = timed(ingest)
        print(f"{LINES:,} lines of {name}: {LINES / took:,.0f} /s, {cpu / LINES * 1e6:.1f} µs of CPU each", flush=True)


if __name__ == "__main__":
    main()
