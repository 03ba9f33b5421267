"""The memory that there is: the machine's, or what the container may have of it."""

from pathlib import Path

import pytest

from guardpanel.engines.processes import machine


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 8 GiB."""
    (tmp_path / "meminfo").write_text("MemTotal:        8388608 kB\nMemFree:          100 kB\n")
    for name, path in (("MEMORY", "meminfo"), ("MOUNTED", "cgroup"), ("CGROUP", "sys")):
        monkeypatch.setattr(machine, name, tmp_path / path)
    return tmp_path


def limit(folder: Path, path: str, text: str) -> None:
    (folder / "sys" / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / "sys" / path).write_text(text)


def test_without_cgroups_it_is_the_machines(folder: Path) -> None:
    assert machine.memory_mib() == 8192


@pytest.mark.parametrize(
    ("own", "above", "mib"), [("max", "max", 8192), ("536870912", "max", 512), ("max", "1073741824", 1024)]
)
def test_the_least_limit_on_the_way_up_counts(folder: Path, own: str, above: str, mib: int) -> None:
    (folder / "cgroup").write_text("0::/system.slice/guardpanel.service\n")
    limit(folder, "system.slice/guardpanel.service/memory.max", f"{own}\n")
    limit(folder, "system.slice/memory.max", f"{above}\n")

    assert machine.memory_mib() == mib


def test_a_container_sees_its_own_limit_at_the_top(folder: Path) -> None:
    (folder / "cgroup").write_text("0::/\n")
    limit(folder, "memory.max", "268435456\n")

    assert machine.memory_mib() == 256


@pytest.mark.parametrize(("text", "mib"), [("268435456", 256), ("9223372036854771712", 8192)])
def test_version_1_says_it_in_another_place(folder: Path, text: str, mib: int) -> None:
    (folder / "cgroup").write_text("5:cpu,cpuacct:/a\n4:memory:/docker/abc\n")
    limit(folder, "memory/memory.limit_in_bytes", f"{text}\n")

    assert machine.memory_mib() == mib
