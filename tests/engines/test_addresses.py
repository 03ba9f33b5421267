"""What names of servers were found to be: held, and still known after a start without DNS."""

from pathlib import Path

from guardpanel.engines.servers.addresses import Addresses
from guardpanel.engines.servers.names import Resolution

GONE = Resolution(problem="Name or service not known", is_none=True)


def test_an_address_is_kept_while_the_name_still_has_it(tmp_path: Path) -> None:
    addresses = Addresses(tmp_path / "a.json")
    addresses.learn({"app.lan": Resolution(("10.0.0.5", "10.0.0.6"))})
    addresses.learn({"app.lan": Resolution(("10.0.0.6", "10.0.0.5"))})
    assert addresses.all() == {"app.lan": "10.0.0.5"}

    addresses.learn({"app.lan": Resolution(("10.0.0.6",))})

    assert addresses.all() == {"app.lan": "10.0.0.6"}


def test_a_name_without_an_answer_is_held_and_why_is_known(tmp_path: Path) -> None:
    addresses = Addresses(tmp_path / "a.json")
    addresses.learn({"app.lan": Resolution(("10.0.0.5",))})
    address = addresses.of("app.lan")
    addresses.learn({"app.lan": GONE, "never.lan": GONE})

    held, never = addresses.of("app.lan"), addresses.of("never.lan")

    assert address and held and never
    assert (held.address, held.is_held, held.problem) == ("10.0.0.5", True, GONE.problem)
    assert (held.since, held.confirmed) == (address.since, address.confirmed)
    assert (never.address, never.is_held, never.problem) == ("", False, GONE.problem)
    assert addresses.all() == {"app.lan": "10.0.0.5"}
    addresses.learn({"app.lan": Resolution(("10.0.0.5",))})
    again = addresses.of("app.lan")
    assert again
    assert (again.since, again.is_held) == (address.since, False)


def test_what_is_in_use_is_on_disk_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    addresses = Addresses(path)
    addresses.learn({"app.lan": Resolution(("10.0.0.5",)), "other.lan": Resolution(("10.0.0.6",))})
    addresses.keep({"app.lan"})
    written = path.stat().st_mtime_ns
    addresses.learn({"app.lan": Resolution(("10.0.0.5",))})
    addresses.keep({"app.lan"})
    assert path.stat().st_mtime_ns == written

    again = Addresses(path)

    assert again.all() == {"app.lan": "10.0.0.5"}
    assert again.of("app.lan") is not None
    for damaged in ("nonsense", path.read_text().replace("10.0.0.5", "10.0.0.5 0 UP")):
        path.write_text(damaged)
        assert Addresses(path).all() == {}, "HAProxy is told addresses alone"


def test_what_haproxy_has_fills_only_what_is_not_known(tmp_path: Path) -> None:
    addresses = Addresses(tmp_path / "a.json")
    addresses.learn({"app.lan": Resolution(("10.0.0.5",)), "silent.lan": GONE})
    addresses.take({"app.lan": "10.0.0.9", "silent.lan": "10.0.0.7"})
    assert addresses.all() == {"app.lan": "10.0.0.5", "silent.lan": "10.0.0.7"}
