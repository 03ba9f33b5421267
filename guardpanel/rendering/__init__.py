"""Pure: a desired state in, a bundle out. No clock, no counter, no I/O except templates. Equal states give equal bytes, so an
unchanged configuration needs no reload."""

import hashlib

from guardpanel.bundle import JUDGING, SERVERS, Bundle
from guardpanel.rendering import access, coraza, geo, haproxy, https, logins, servers
from guardpanel.rendering.facts import EngineFacts
from guardpanel.rendering.rows import Rows
from guardpanel.rendering.state import DesiredState

NO_MARK = "0" * 64
"Placeholder for the checksum while it is computed."

__all__ = ["DesiredState", "EngineFacts", "Rows", "render"]


def render(state: DesiredState) -> Bundle:
    """All files of a revision. The checksum covers those that HAProxy has to be reloaded for, with the placeholder in its own
    places, and without what HAProxy takes of servers at run time."""
    names, applications = coraza.applications(state)
    texts = haproxy.files(state, names)
    agent = coraza.agent_configuration(state.facts, applications)
    blank, origins = haproxy.configuration(state, NO_MARK)
    fixed, weights = servers.without(blank, moves=state.facts.moves_servers)
    digest = hashlib.sha256()
    for path, text in sorted({**texts, "haproxy.cfg": fixed}.items()):
        if path in JUDGING:
            continue
        digest.update(f"{path}\0{len(text)}\0{text}\0".encode())
    checksum = digest.hexdigest()
    marked = blank.replace(NO_MARK, checksum).replace(f"gp_end_{NO_MARK[:12]}", f"gp_end_{checksum[:12]}")
    files = {path: text.encode() for path, text in texts.items()}
    return Bundle(
        files={**files, "haproxy.cfg": marked.encode(), "coraza.yaml": agent},
        checksum=checksum,
        applications=applications,
        origins={"haproxy.cfg": origins},
        named_servers=haproxy.named_servers(state),
        secrets=https.secrets(state) | logins.secrets(state),
        data={**access.list_files(state), **({SERVERS: weights.encode()} if weights else {})},
        outside=access.outside(state) + geo.outside(state),
    )
