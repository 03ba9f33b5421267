"""Pure: a desired state in, a bundle out. No clock, no counter, no I/O except templates. Equal states give equal bytes, so an
unchanged configuration needs no reload."""

import hashlib

from guardpanel.bundle import JUDGING, SERVERS, Bundle
from guardpanel.rendering import access, geo, haproxy, https, logins
from guardpanel.rendering.configuration import NO_MARK, Configurations, Origins
from guardpanel.rendering.facts import EngineFacts
from guardpanel.rendering.rows import Rows
from guardpanel.rendering.state import DesiredState

__all__ = ["DesiredState", "EngineFacts", "Rows", "render"]

CONFIGURATIONS = Configurations()


def render(state: DesiredState) -> Bundle:
    """All files of a revision. The checksum covers those that HAProxy has to be reloaded for, with the placeholder in its own
    places, and without what HAProxy takes of servers at run time."""
    configuration = CONFIGURATIONS.of(state)
    around, weights = configuration.surroundings, configuration.weights
    digest = hashlib.sha256()
    for path, text in sorted({**around.texts, "haproxy.cfg": configuration.fixed}.items()):
        if path in JUDGING:
            continue
        digest.update(f"{path}\0{len(text)}\0{text}\0".encode())
    checksum = digest.hexdigest()
    marked = configuration.text.replace(NO_MARK, checksum).replace(f"gp_end_{NO_MARK[:12]}", f"gp_end_{checksum[:12]}")
    return Bundle(
        files={**around.contents, "haproxy.cfg": marked.encode(), "coraza.yaml": around.agent},
        checksum=checksum,
        applications=around.applications,
        origins={"haproxy.cfg": Origins(configuration)},
        named_servers=haproxy.named_servers(state),
        secrets=https.secrets(state) | logins.secrets(state),
        data={**access.list_files(state), **({SERVERS: weights.encode()} if weights else {})},
        outside=access.outside(state) + geo.outside(state),
    )
