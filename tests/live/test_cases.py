"""Every case of tests/rendering/cases, as each HAProxy would get it: it takes them, and warns of nothing."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from guardpanel.engines import DROPS_TRAILERS, HAProxy
from guardpanel.engines.files import make_empty
from guardpanel.settings import Settings
from guardpanel.shipped import lua, lua_file
from tests.rendering.case import Case, cases


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_haproxy_takes_the_case_without_a_warning(haproxy: str, case: Case, tmp_path: Path) -> None:
    engine = HAProxy(haproxy)
    bans = tmp_path / "a 'quoted', \\ \"odd\" (path)" / "bans.map"
    bans.parent.mkdir()
    bans.write_text("")
    states = tmp_path / "servers.state"
    states.write_text("1\n")  # as at the first start: no servers are known
    bundle = case.bundle(
        system_ca=Settings().system_ca,
        server_states=str(states),
        drops_trailers=asyncio.run(engine.knows(DROPS_TRAILERS)),
        runs_lua=asyncio.run(engine.runs_lua()),
        no_http3=asyncio.run(engine.no_http3()),
        lua_folder=str(tmp_path),
        bans_map=str(bans),
        feeds_dir=str(bans.parent / "feeds"),
        geo_dir=str(bans.parent / "geo"),
        holds_responses=asyncio.run(engine.holds_responses()),
        more_counters=asyncio.run(engine.has_more_counters()),
        moves_servers=asyncio.run(engine.moves_servers()),
    )
    (tmp_path / lua_file()).write_text(lua())
    make_empty(*map(Path, bundle.outside))
    for path, content in {**bundle.files, **bundle.secrets, **bundle.data}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)

    checked = subprocess.run(
        [haproxy, "-c", "-dW", "-f", tmp_path / "haproxy.cfg"], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr
