"""A desired state in `cases/NAME/state.yaml`, and beside it every file that it is rendered to.

The files are compared byte by byte, but for two things: the checksum stands in them as zeros, so that a change of one file
does not change others; and the error pages are not kept (they stand in config_templates/haproxy; what sets add to them is in maps).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from guardpanel.bundle import Bundle
from guardpanel.listen_addresses import host_and_port
from guardpanel.rendering import DesiredState, EngineFacts, Rows, render
from tests.rows import FACTS, digests_of, maps_of, rows

CASES = Path(__file__).parent / "cases"

VERSIONS: Mapping[str, Mapping[str, Any]] = {
    "2.6": {"holds_responses": False, "runs_lua": True},
    "2.8 without Lua": {"holds_responses": True, "more_counters": True, "moves_servers": True, "runs_lua": False},
    "2.8": {"holds_responses": True, "more_counters": True, "moves_servers": True, "runs_lua": True},
    "3.2": {
        "holds_responses": True,
        "more_counters": True,
        "moves_servers": True,
        "runs_lua": True,
        "drops_trailers": True,
    },
    "3.4": {
        "holds_responses": True,
        "more_counters": True,
        "moves_servers": True,
        "runs_lua": True,
        "drops_trailers": True,
        "no_http3": "",
    },
}
"What engines/haproxy/haproxy.py finds these branches to be able to."

AGENTS = {"guardpanel-spoa": False, "coraza-spoa": True}

KEYS = {
    "look for",
    "haproxy",
    "agent",
    "binds",
    "https_binds",
    "policies",
    "virtual_hosts",
    "traffic",
    "exclusions",
    "overrides",
    "custom_rules",
    "readings",
    "paths",
    "header_rules",
    "error_pages",
    "logins",
    "certificates",
    "client_cas",
    "address_lists",
    "bans_map",
}


@dataclass(frozen=True)
class Case:
    folder: Path
    given: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def look_for(self) -> str:
        return str(self.given["look for"])

    @property
    def rows(self) -> Rows:
        return rows(
            self.given.get("policies", {}),
            self.given["virtual_hosts"],
            self.given.get("traffic"),
            self.given.get("exclusions", ()),
            self.given.get("overrides", ()),
            self.given.get("custom_rules", ()),
            self.given.get("readings", ()),
            self.given.get("paths", ()),
            self.given.get("certificates", ()),
            self.given.get("client_cas", ()),
            self.given.get("address_lists", ()),
            self.given.get("header_rules", ()),
            self.given.get("error_pages", ()),
            self.given.get("logins", ()),
        )

    @property
    def facts(self) -> EngineFacts:
        return replace(
            FACTS,
            http_binds=tuple(host_and_port(bind) for bind in self.given.get("binds", ["0.0.0.0:80"])),
            https_binds=tuple(host_and_port(bind) for bind in self.given.get("https_binds", ["0.0.0.0:443"])),
            server_states="/var/lib/guardpanel/run/servers.state",
            tables_socket="/var/lib/guardpanel/run/tables.sock",
            lua_folder="/var/lib/guardpanel/run",
            acme_thumbprint="thumbprint-of-the-account-key_43-characters",
            login_digests=digests_of(self.rows),
            list_maps=maps_of(self.given.get("address_lists", ())),
            bans_map=self.given.get("bans_map", "/var/lib/guardpanel/bans.map"),
            small_frames=AGENTS[self.given.get("agent", "guardpanel-spoa")],
            **VERSIONS[self.given.get("haproxy", "2.8")],
        )

    def bundle(self, **facts: Any) -> Bundle:
        return render(DesiredState.from_rows(self.rows, replace(self.facts, **facts)))

    def rendered(self) -> dict[str, str]:
        """By path below the folder."""
        bundle = self.bundle()
        return {
            path: unmarked(content.decode(), bundle.checksum)
            for path, content in {**bundle.files, **bundle.data, **of_logins(bundle)}.items()
            if not path.startswith("errors/")
        }

    def kept(self) -> dict[str, str]:
        """What `make cases` wrote last."""
        return {
            str(path.relative_to(self.folder)): path.read_text("utf-8")
            for path in self.folder.rglob("*")
            if path.is_file() and path.name != "state.yaml"
        }


def of_logins(bundle: Bundle) -> Mapping[str, bytes]:
    """The secrets that are no keys."""
    return {path: content for path, content in bundle.secrets.items() if path.startswith("logins/")}


def unmarked(text: str, checksum: str) -> str:
    return text.replace(checksum, "0" * 64).replace(f"gp_end_{checksum[:12]}", f"gp_end_{'0' * 12}")


def cases() -> list[Case]:
    folders = sorted(path.parent for path in CASES.glob("*/state.yaml"))
    return [Case(folder, yaml.safe_load((folder / "state.yaml").read_text("utf-8"))) for folder in folders]


def contents() -> str:
    """cases/README.md."""
    listed = "".join(f"\n## [{case.name}]({case.name}/)\n\n{case.look_for.strip()}\n" for case in cases())
    return f"{HEAD}{listed}"


HEAD = """\
# What guardpanel renders

Each folder has a desired state (`state.yaml`) and every file that it becomes, whole: what HAProxy and the WAF agent get. Two
things are not as they are on disk: the checksum is zeros here, and the error pages (`errors/`) are not repeated.

`make cases` writes them anew and says what changed; the tests compare them byte by byte, and have each HAProxy check each.
"""
