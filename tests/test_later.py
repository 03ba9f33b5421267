"""What most panels never need is not imported when they start."""

import subprocess
import sys

import pytest

from guardpanel.later import Later

UNUSED = {"acme", "aioquic", "dns", "httpx2", "josepy", "OpenSSL", "requests", "urllib3"}
"Of certificates that are ordered. dnspython imports two of them for itself, if they are installed."


def test_a_panel_starts_without_what_only_orders_of_certificates_need() -> None:
    program = "import sys, guardpanel.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)

    assert not {name.partition(".")[0] for name in done.stdout.split()} & UNUSED


def test_a_package_and_its_modules_are_what_an_import_gives() -> None:
    package, module = Later("xml"), Later("xml.etree.ElementTree")
    import xml.dom.minidom
    from xml.etree import ElementTree as ET

    assert package.dom.minidom is xml.dom.minidom
    assert module.Element is ET.Element
    with pytest.raises(ModuleNotFoundError):
        _ = package.none_such
