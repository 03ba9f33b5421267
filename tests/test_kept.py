"""What a save does not change is neither rendered nor written again, and what is kept is limited."""

import gc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

from guardpanel import readable_yaml
from guardpanel.bundle import Bundle, digest_of, hashes_of
from guardpanel.certificates.served import ServedCertificate, ServedCertificates
from guardpanel.engines.waf import agent_files
from guardpanel.kept import Kept
from guardpanel.models.certificates.certificate import Source
from guardpanel.rendering import DesiredState, coraza, https, render
from tests.rows import FACTS, rows

OWN_RULE = {"policy": "B", "name": "Own", "variables": ["ARGS:a"], "operator_argument": "x", "rule_id": 9_050_001}


def rendered(threshold: int, argument: str) -> tuple[int, str]:
    """The number of applications that were rendered for this state, and the agent's configuration."""
    policies: dict[str, dict[str, Any]] = {name: {"masked_fields": [f"kept_{name}"]} for name in "ABC"}
    policies["A"]["inbound_anomaly_threshold"] = threshold
    own_rules = [{**OWN_RULE, "operator_argument": argument}]
    state = DesiredState.from_rows(rows(policies, {}, custom_rules=own_rules), FACTS)
    with patch.object(coraza, "_application", wraps=coraza._application) as application:
        text = render(state).files["coraza.yaml"].decode()
        return application.call_count, text


def test_only_the_changed_policy_is_rendered() -> None:
    rendered(41, "first")
    for threshold, argument, made in ((41, "first", 0), (42, "first", 1), (42, "second", 1), (41, "first", 0)):
        number, text = rendered(threshold, argument)
        assert number == made
        assert f"inbound_anomaly_score_threshold={threshold}" in text
        assert argument in text


def configuration(*thresholds: int) -> bytes:
    """The agent's, of a policy for each threshold."""
    policies = {f"P{at}": {"outbound_anomaly_threshold": threshold} for at, threshold in enumerate(thresholds)}
    return render(DesiredState.from_rows(rows(policies, {}), FACTS)).files["coraza.yaml"]


def test_only_new_applications_are_written_to_the_agents_file() -> None:
    agent_files.union((configuration(61, 62), configuration(63)), None)
    documents = configuration(61, 64), configuration(61, 62)
    with patch.object(readable_yaml, "written", wraps=readable_yaml.written) as written:
        text = agent_files.union(documents, None)
    assert written.call_count == 2  # the new one, and what is not an application
    names = [{*(agent_files.applications_in(document) or {})} for document in (*documents, text)]
    assert names[2] == names[0] | names[1]
    assert text.decode() == readable_yaml.written(readable_yaml.read(text))


def test_of_compared_configurations_of_the_agent_no_text_is_held() -> None:
    document, other = configuration(71, 72), configuration(71, 73)
    with patch.object(agent_files, "entries", wraps=agent_files.entries) as entries:
        first = agent_files.applications_in(document)
        again, changed = agent_files.applications_in(bytes(bytearray(document))), agent_files.applications_in(other)
        entries.reset_mock()
        assert agent_files.applications_in(document) == first == again
    assert not entries.called
    assert first and changed and len({*first.items()} & {*changed.items()}) == 1
    assert {len(digest) for digest in first.values()} == {32}
    assert not [held for held in gc.get_referrers(document) if isinstance(held, tuple | dict | list)]


def over_tls(**fields: Any) -> DesiredState:
    served = {"https": True, "servers": [{"address": "127.0.0.1:80"}]}
    hosts = {"shop.example": served, "b.example": served | fields}
    return DesiredState.from_rows(rows({}, hosts), FACTS)


def test_the_list_of_certificates_is_written_again_for_each_change_of_https_and_no_other() -> None:
    with patch.object(https, "_files", wraps=https._files) as written:
        for number, state in enumerate(
            (over_tls(), over_tls(hsts_seconds=60), over_tls(https_redirect=True), over_tls(tls_profile="modern")), 1
        ):
            files = https.files(state)
            assert files == https.files(state) == https._files(state.https_hosts, state.chosen_certificates, state)
            assert written.call_count == 2 * number  # The other is the test's own.
        https.files(over_tls(tls_profile="modern", streaming=True))
        assert written.call_count == 2 * number


def test_the_choice_of_certificates_follows_their_contents_and_the_moment() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    old, new = (
        ServedCertificate(1, Source.UPLOAD, ("shop.example",), noon - timedelta(days=9), noon, b"old"),
        ServedCertificate(2, Source.UPLOAD, ("shop.example",), noon, noon + timedelta(hours=1), b"new"),
    )

    def secrets(*certificates: ServedCertificate, at: datetime = noon) -> tuple[set[bytes], str]:
        state = over_tls()
        state = replace(state, facts=replace(state.facts, certificates=ServedCertificates(certificates, at)))
        bundle = Bundle({}, "", (), {}, secrets=https.secrets(state))
        assert bundle.secrets_digest == digest_of(
            hashes_of(https._secrets(state.chosen_certificates, FACTS.default_certificate))
        )
        return {*bundle.secrets.values()} - {FACTS.default_certificate}, bundle.secrets_digest

    both = old, new
    before, after = secrets(*both, at=noon - timedelta(hours=1)), secrets(*both)
    assert (before[0], after[0]) == ({b"old"}, {b"new"})  # Only the moment differs.
    assert before[1] != after[1] == secrets(*both)[1]
    assert secrets(old, replace(new, pem=b"renewed"))[0] == {b"renewed"}
    assert secrets(replace(old, not_after=noon + timedelta(days=1)), new)[0] == {b"old"}


def test_results_used_last_are_kept_up_to_a_number_of_characters() -> None:
    results: Kept[str] = Kept(10, len)
    for key in ("aaaa", "bbbb", "aaaa", "cccc"):
        assert results.get(key, partial(str, key)) == key
    assert results.characters == 8
    assert results.get("aaaa", lambda: "again") == "aaaa"
    assert results.get("bbbb", lambda: "again") == "again"


def test_a_result_longer_than_all_that_is_kept_is_returned() -> None:
    results: Kept[str] = Kept(3, len)
    assert results.get("long", lambda: "long") == "long"
    assert (len(results), results.characters) == (0, 0)
