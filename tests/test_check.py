"""The gates' runner (tools/check.py): a gate that cannot run is one that failed, and says why."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOOLS = Path(__file__).resolve().parents[1] / "tools"


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location("gates_runner", TOOLS / "check.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gates_runner", module)
    spec.loader.exec_module(module)
    return module


def test_a_gate_whose_tool_is_missing_fails_and_says_which(check: ModuleType) -> None:
    run = check.Run(check.Gate("x", ["/nowhere/a-tool"]))
    with run.output:
        code, output = run.end()

    assert code == 1
    assert "cannot run /nowhere/a-tool: No such file or directory" in output


def test_a_gate_that_ends_while_it_is_stopped_is_no_fault(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    run = check.Run(check.Gate("x", ["true"]))
    run._start()

    def gone(*_: object) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(run.process, "poll", lambda: None)
    monkeypatch.setattr(check.os, "killpg", gone)

    with run.output:
        assert run.stop()


def test_a_gate_in_memory_has_its_own_folder_there_for_as_long_as_it_runs(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(check, "MEMORY", tmp_path)
    monkeypatch.setattr(check, "ROOM", 0)
    run = check.Run(check.Gate("x", ["sh", "-c", "echo $TMPDIR; ls -d $TMPDIR"], in_memory=True))
    with run.output:
        code, output = run.end()

    assert (code, output.splitlines()) == (0, [str(run.folder)] * 2)
    assert run.folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("memory", "room"), [("/nowhere", 0), ("/tmp", 1 << 60)])
def test_without_room_in_memory_a_gate_has_the_usual_folder(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, memory: str, room: int
) -> None:
    monkeypatch.setattr(check, "MEMORY", Path(memory))
    monkeypatch.setattr(check, "ROOM", room)

    assert check.folder_in_memory() is None


def test_all_gates_are_run_but_the_one_for_who_changes_the_agent(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def nothing_fails(gates: list[Any], _results: object) -> list[str]:
        ran.append([gate.name for gate in gates])
        return []

    monkeypatch.setattr(check, "failures", nothing_fails)
    monkeypatch.setattr(
        check, "gates", lambda: {name: [check.Gate(name, ["true"])] for name in ("lint", "agent", "race")}
    )
    for names in ([], ["race"]):
        monkeypatch.setattr(sys, "argv", ["check.py", *names])
        with pytest.raises(SystemExit) as ended:
            check.main()
        assert ended.value.code == 0

    assert ran == [["lint", "agent"], ["race"]]
