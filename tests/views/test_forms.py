"""What was typed stays as it was typed; rows, checkboxes and errors of a form."""

import pytest
from pydantic import BaseModel

from guardpanel.errors import FieldError, Invalid
from guardpanel.models.meta import label
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.server import ServerFields
from guardpanel.models.traffic import TrafficFields
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.views.form_rows import renumbered
from guardpanel.views.forms import Form
from guardpanel.views.refusals import in_page_order
from tests.factories import a_policy, a_virtual_host


def a_form(typed: dict[str, str]) -> Form:
    return Form({name: [value] for name, value in typed.items()})


def refused(form: Form, model: type[PolicyFields | VirtualHostFields]) -> Form:
    with pytest.raises(Invalid) as caught:
        form.fields(model)
    return form.refused(caught.value)


def test_a_whole_form_becomes_the_input_type() -> None:
    fields = a_form(
        a_virtual_host("shop.example, www.shop.example", **{"servers.1.address": "b.test", "servers.1.backup": "on"})
    ).fields(VirtualHostFields)

    assert fields.hostnames == ["shop.example", "www.shop.example"]
    assert [(server.address, server.backup, server.enabled) for server in fields.servers] == [
        ("127.0.0.1:3000", False, True),
        ("b.test:80", True, False),
    ]


def test_a_box_without_a_tick_is_false() -> None:
    fields = a_form(a_virtual_host(enabled=None, health_check=None)).fields(VirtualHostFields)

    assert not fields.enabled
    assert not fields.health_check


def test_what_was_typed_stays_also_where_it_is_wrong() -> None:
    form = refused(a_form(a_policy(name=" a#b ", inbound_anomaly_threshold="x")), PolicyFields)

    assert form.value("name") == " a#b "
    assert form.value("inbound_anomaly_threshold") == "x"
    assert form.error("name") is not None
    error = form.error("inbound_anomaly_threshold")
    assert error is not None
    assert error.message == "Enter a whole number."


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [("blocking_paranoia_level", "5", "At most 4."), ("blocking_paranoia_level", "0", "At least 1."), ("body_limit_kib", "9999", "At most 4,096."),
     ("name", "x" * 65536, "At most 100 characters; this has 65,536."), ("enforcement_mode", "x", "Choose Block, Detect only or Off."),
     ("allowed_methods", "", "Enter at least 1."), ("allowed_content_types", "", "Enter at least 1."),
     ("allowed_methods", "get\nconnect", "CONNECT can’t be allowed: HAProxy rejects it for every site."),
     ("upload_seconds", "2 min", "Enter a whole number. The unit is s."), ("body_limit_kib", "1.5MiB", "Enter a whole number. The unit is KiB."),
     ("inbound_anomaly_threshold", "", "Enter a whole number."),
     ("inbound_anomaly_threshold", "９", "Enter a whole number."), ("inbound_anomaly_threshold", "9" * 5000, "Enter a whole number.")],
)  # fmt: skip
def test_every_refusal_is_in_clear_words(name: str, typed: str, words: str) -> None:
    error = refused(a_form(a_policy(**{name: typed})), PolicyFields).error(name)

    assert error is not None
    assert error.message == words


@pytest.mark.parametrize("typed", ["1000", "1,000", "1 000", "1\u00a0000", "1\u202f000", " 1000 "])
def test_a_number_is_taken_as_pages_show_it(typed: str) -> None:
    assert a_form(a_policy(body_limit_kib=typed)).fields(PolicyFields).body_limit_kib == 1000


@pytest.mark.parametrize(
    "typed", ["1.000", "1,00", "1,0000", "1.5", "1,000.5", "1.0", "1_000", "0,128", "1,000 2", "4 MiB", "1e3", "+-1"]
)
def test_a_number_that_could_mean_two_is_refused_as_it_was_typed(typed: str) -> None:
    form = refused(a_form(a_policy(body_limit_kib=typed)), PolicyFields)

    assert form.errors["body_limit_kib"].message.startswith("Enter a whole number.")
    assert form.value("body_limit_kib") == typed


@pytest.mark.parametrize("typed", ["399-200", "200,404-400"])
def test_a_range_of_statuses_that_haproxy_would_reject_is_rejected_at_its_field(typed: str) -> None:
    form = refused(a_form(a_virtual_host(health_check_status=typed)), VirtualHostFields)

    assert form.errors["health_check_status"].message.startswith("Enter the range")


def test_a_field_that_is_missing_is_said_so() -> None:
    form = refused(a_form(a_policy(name=None)), PolicyFields)

    assert form.error("name") is not None
    assert form.errors["name"].message == "Required."


def test_a_list_shows_the_error_of_one_of_its_items() -> None:
    form = Form({}, {"hostnames.1": FieldError("Twice.")})

    error = form.error("hostnames")
    assert error is not None
    assert error.message == "Twice."
    assert form.error("host") is None


def test_a_rows_error_is_shown_at_that_row() -> None:
    form = refused(a_form(a_virtual_host(**{"servers.1.address": "a:0"})), VirtualHostFields)

    assert form.error("servers.0.address") is None
    assert form.row_error("servers", 0) is None
    assert form.row_error("servers", 1) is not None
    assert form.has_error("servers")


def test_rows_in_which_nothing_was_typed_do_not_count_and_numbers_have_no_gaps() -> None:
    typed = {
        "servers.0.address": [""], "servers.0.weight": ["100"], "servers.3.address": ["b"], "servers.10.address": ["c"],
        "servers.10.enabled": ["on"], "servers.9999999.address": ["x"], "name": ["n"],
    }  # fmt: skip

    assert renumbered(typed, VirtualHostFields) == {
        "servers.0.address": ["b"], "servers.1.address": ["c"], "servers.1.enabled": ["on"], "servers.9999999.address": ["x"], "name": ["n"],
    }  # fmt: skip


def test_one_empty_row_stays_to_be_filled() -> None:
    form = refused(a_form(a_virtual_host(**{"servers.0.address": ""})), VirtualHostFields)

    assert (form.error("servers") is not None, form.rows("servers")) == (True, [0])


def test_an_empty_row_is_none_where_none_is_needed() -> None:
    moved = a_form(a_virtual_host(redirect="301", redirect_to="https://new.example", **{"servers.0.address": ""}))

    assert VirtualHostFields.model_validate(moved.data(VirtualHostFields)).servers == []


def test_rows_are_added_and_removed_without_javascript() -> None:
    form = a_form(a_virtual_host(add_row="servers"))
    form.model = VirtualHostFields
    assert form.change_rows()
    assert form.rows("servers") == [0, 1]

    form = a_form(a_virtual_host(remove_row="servers-0", **{"servers.1.address": "b"}))
    assert form.change_rows()
    assert form.value("servers.0.address") == "b"
    assert not a_form(a_virtual_host()).change_rows()


def test_an_added_row_starts_with_the_defaults_with_and_without_javascript() -> None:
    form = Form({name: [value] for name, value in a_virtual_host(add_row="servers").items()}, model=VirtualHostFields)
    spare = form.with_new_row("servers", "__n__")
    form.change_rows()
    form.typed["servers.1.address"] = ["b.test"]

    assert form.fields(VirtualHostFields).servers[1] == ServerFields(address="b.test")
    assert spare.value("servers.__n__.weight") == form.value("servers.1.weight") == "100"
    assert spare.checked("servers.__n__.enabled") and not spare.checked("servers.__n__.backup")


@pytest.mark.parametrize("version", ["x", "", "-1", "١", "9" * 5000])
def test_a_version_that_is_no_number_is_that_of_no_row(version: str) -> None:
    assert a_form({"version": version}).version == 0


def test_a_form_may_name_no_version() -> None:
    assert a_form({}).version is None


def test_a_form_starts_with_the_fields_of_a_thing() -> None:
    fields = PolicyFields(name="Strict", response_inspection=True)
    form = Form.of(fields)

    assert form.fields(PolicyFields) == fields
    assert form.checked("response_inspection")
    assert form.checked("enforcement_mode", "detect_only")


@pytest.mark.parametrize(
    ("model", "name", "text"),
    [
        (VirtualHostFields, "servers.1.address", "Server 2 address"), (PolicyFields, "body_limit_kib", "Body limit"),
        (VirtualHostFields, "policy_id", "Policy"), (VirtualHostFields, "tls_name", "TLS server name"),
        (VirtualHostFields, "hostnames.3", "Hostnames"), (TrafficFields, "listeners.0.proxy_networks", "Listener 1 PROXY protocol networks"),
        (None, "full_name", "Full name"),
    ],
)  # fmt: skip
def test_labels(model: type[BaseModel] | None, name: str, text: str) -> None:
    assert label(model, name) == text


def test_a_summary_lists_fields_in_the_order_of_the_page() -> None:
    typed = {"notes": "", "servers.3.address": "x y", "servers.3.weight": "many", "name": "x\0", "extra": ""}
    form = Form(renumbered({name: [text] for name, text in typed.items()}))
    links = [{"url": f"#f-{name}"} for name in ("name", "policy_id", "servers.0.weight", "servers.0.address")]

    ordered = [link["url"].removeprefix("#f-") for link in in_page_order(links, form)]

    assert ordered == ["servers.0.address", "servers.0.weight", "name", "policy_id"]
