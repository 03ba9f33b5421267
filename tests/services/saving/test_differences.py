"""What a change did, in the words of the form."""

from typing import Any

from guardpanel.models.path_binding import PathBindingFields
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.traffic import TrafficFields
from guardpanel.services.saving.differences import MOST, Difference, between, first_between, in_words
from tests.rows import rows
from tests.services.saved import host_fields, policy_fields


def numbered(value: Any) -> Any:
    """With ids of names and servers, as the database has them."""
    for table in ("hostname", "server"):
        for at, row in enumerate(value[table], 1):
            row["id"] = at
    return value


def of(before: dict[str, Any], after: dict[str, Any], policies: tuple[dict[str, Any], ...] = ()) -> list[Difference]:
    old, new = policies or ({"Default": {}}, {"Default": {}})
    return between(numbered(rows(old, before)), numbered(rows(new, after)))


HOST = {"servers": [{"address": "10.0.0.1:80"}], "policy": "Default"}


def test_only_the_fields_that_differ_are_told_in_words() -> None:
    (difference,) = of(
        {"shop.example": HOST}, {"shop.example": {**HOST, "enforcement_mode": "detect_only", "maintenance": True}}
    )

    assert (difference.noun, difference.name, difference.kind) == ("virtual_host", "shop.example", "changed")
    assert [(field.label, field.before, field.after) for field in difference.fields] == [
        ("Maintenance page", "no", "yes"), ("Enforcement mode", "Same as policy", "Detect only")
    ]  # fmt: skip


def test_names_and_servers_are_lines() -> None:
    servers = [
        {"address": "10.0.0.1:80"},
        {"address": "https://10.0.0.2", "weight": 5, "backup": True, "enabled": False},
    ]
    (difference,) = of(
        {"xn--bcher-kva.example": HOST}, {"xn--bcher-kva.example www.example": {**HOST, "servers": servers}}
    )
    fields = {field.name: (field.before, field.after) for field in difference.fields}

    assert fields["hostnames"] == ("bücher.example", "bücher.example\nwww.example")
    assert fields["servers"] == (
        "http://10.0.0.1:80",
        "http://10.0.0.1:80\nhttps://10.0.0.2:443, weight 5, backup, disabled",
    )


def test_added_and_deleted_rows_are_listed_policies_first() -> None:
    differences = of({"a.example": HOST}, {}, ({"Default": {}}, {"Default": {}, "Strict": {}}))

    assert [(difference.noun, difference.name, difference.kind) for difference in differences] == [
        ("policy", "Strict", "added"),
        ("virtual_host", "a.example", "removed"),
    ]
    assert {field.name: field.before for field in differences[1].fields}["policy_id"] == "Default"
    assert all(field.after is None for field in differences[1].fields)


def test_another_policy_of_the_same_name_is_a_difference() -> None:
    old, new = (
        numbered(rows({"Default": {}}, {"a.example": HOST})),
        numbered(rows({"Default": {}}, {"a.example": HOST})),
    )
    new["policy"][0]["id"] = new["virtualhost"][0]["policy_id"] = 7

    assert {(difference.noun, difference.id, difference.kind) for difference in between(old, new)} == {
        ("policy", 1, "removed"), ("policy", 7, "added"), ("virtual_host", 1, "changed")
    }  # fmt: skip


def test_of_a_long_list_only_what_differs_is_shown() -> None:
    names = [f"n{n}.example" for n in range(300)]
    (difference,) = of({" ".join(names): HOST}, {" ".join([*names[1:], "new.example"]): HOST})
    fields = {field.name: (field.before, field.after) for field in difference.fields}

    assert fields["hostnames"] == ("n0.example\nand 299 that stay", "new.example\nand 299 that stay")


def test_of_many_servers_only_those_that_differ_are_shown() -> None:
    servers = [{"address": f"10.0.0.{n}:80"} for n in range(1, 12)]
    edited = [{**servers[0], "weight": 50}, *servers[1:]]
    (difference,) = of({"a.example": {**HOST, "servers": servers}}, {"a.example": {**HOST, "servers": edited}})
    fields = {field.name: (field.before, field.after) for field in difference.fields}

    assert fields["servers"] == (
        "http://10.0.0.1:80\nand 10 that stay",
        "http://10.0.0.1:80, weight 50\nand 10 that stay",
    )


def test_a_long_value_is_cut_and_said_so() -> None:
    (difference,) = of({"a.example": HOST}, {"a.example": {**HOST, "notes": "x" * (MOST + 10)}})

    assert difference.fields[0].after == "x" * MOST + "\n… 10 more characters"


def test_an_edit_is_summed_up_with_both_values() -> None:
    before = policy_fields("Shop", allowed_methods=["GET", "HEAD"])
    changed = {"inbound_anomaly_threshold": 7, "allowed_methods": ["GET", "HEAD", "PUT"]}
    after = PolicyFields.model_validate({**before.model_dump(), **changed})

    assert in_words(before, after) == "inbound anomaly threshold 5 → 7, allowed method PUT added"


def test_numbers_have_their_units_and_what_0_means() -> None:
    before = policy_fields("Shop")
    after = PolicyFields.model_validate({**before.model_dump(), "body_limit_kib": 2048, "upload_seconds": 90})
    assert in_words(before, after) == "body limit 128 KiB → 2,048 KiB, minimum body time 10 s → 90 s"

    host = host_fields("a.example")
    assert in_words(host, host.model_copy(update={"hsts_seconds": 31_536_000})) == (
        "HSTS off → 31,536,000 s (365 days)"
    )
    (difference,) = of({"a.example": HOST}, {"a.example": {**HOST, "hsts_seconds": 300}})
    assert [(field.before, field.after) for field in difference.fields] == [("off", "300 s")]

    traffic, fields = TrafficFields(), {"https_port": 8443, "max_connections": 20_000}
    assert in_words(traffic, traffic.model_copy(update=fields)) == (
        "connection limit by memory → 20,000, port in HTTPS redirects the listener’s → 8443"
    )


def test_a_row_that_changed_is_neither_added_nor_removed() -> None:
    servers = [{"address": "a.test:80"}, {"address": "b.test:80"}]
    before = host_fields("a.example", servers=servers)
    after = host_fields(
        "a.example", servers=[{"address": "a.test:80", "weight": 50, "backup": True}, {"address": "c.test:80"}]
    )

    assert in_words(before, after) == (
        "server http://c.test:80 added, server a.test:80 weight 100 → 50, backup no → yes, server http://b.test:80 removed"
    )


def test_a_listener_that_changed_is_named_with_what_changed() -> None:
    listener = {"address": "127.0.0.1:8080"}
    required = {**listener, "proxy_protocol": "required", "proxy_networks": ["10.0.0.0/8"]}
    before, after = (TrafficFields.model_validate({"listeners": [row]}) for row in (listener, required))

    assert in_words(before, after) == (
        "listener 127.0.0.1:8080 PROXY protocol off → required, PROXY protocol network 10.0.0.0/8 added"
    )
    assert in_words(after, before).startswith("listener 127.0.0.1:8080 PROXY protocol required → off")


def test_a_policy_is_named() -> None:
    words = in_words(
        host_fields("a.example"), host_fields("a.example", policy_id=2), {"policy": {1: "Default", 2: "Strict"}}
    )

    assert words == "policy Default → Strict"


def test_long_texts_are_named_and_not_quoted() -> None:
    assert in_words(host_fields("a.example"), host_fields("a.example", notes="two\nlines")) == "notes"
    assert in_words(host_fields("a.example"), host_fields("a.example", notes="")) == ""


def test_of_thousands_the_first_are_told_and_all_are_counted() -> None:
    hosts = numbered(rows({"Default": {}}, {f"h{n}.example": HOST for n in range(70)}))
    none = numbered(rows({"Default": {}}, {}))

    differences, total = first_between(none, hosts, 50)

    assert (len(differences), total, differences[0].name) == (50, 70, "h0.example")


def test_a_server_of_a_path_is_edited_rather_than_removed_and_added() -> None:
    before = PathBindingFields(path="/api", own_servers=["http://10.0.0.1:80", "http://10.0.0.2:80"])
    after = before.model_copy(update={"own_servers": ["http://10.0.0.1:80 disabled", "http://10.0.0.2:80"]})

    assert in_words(before, after) == "server http://10.0.0.1:80 → http://10.0.0.1:80 disabled"
    other = before.model_copy(update={"own_servers": ["http://10.0.0.3:80", "http://10.0.0.2:80"]})
    assert in_words(before, other) == "server http://10.0.0.3:80 added, server http://10.0.0.1:80 removed"
